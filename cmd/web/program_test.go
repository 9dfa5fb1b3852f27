package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"changeover/internal/platform/engine/local"
)

func TestMain(m *testing.M) {
	status := m.Run()
	_ = os.RemoveAll(builtIn())
	os.Exit(status)
}

// builtIn is where the program under test is built; TestMain removes it.
func builtIn() string {
	return filepath.Join(os.TempDir(), "changeover-bin-"+strconv.Itoa(os.Getpid()))
}

// built is the real program, built once for all tests that run it.
var built = sync.OnceValues(func() (string, error) {
	dir := builtIn()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "changeover")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", &buildError{string(out), err}
	}
	return path, os.Chmod(dir, 0o755)
})

type buildError struct {
	out string
	err error
}

func (e *buildError) Error() string { return e.err.Error() + "\n" + e.out }

// running is the real program on a state directory of its own.
type running struct {
	t    *testing.T
	bin  string
	home string
	env  []string
	dir  string // the working directory; the test's when empty
	cmd  *exec.Cmd
	url  string
	link string // the printed sign-in link
	logs *logBuffer
	out  *logBuffer
}

// runProgram starts the program and returns when it is ready. Everything that
// it started is gone when the test ends.
func runProgram(t *testing.T, options ...func(*running)) *running {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	home := newHome(t)
	p := &running{t: t, bin: bin, home: home, logs: &logBuffer{}, out: &logBuffer{}}
	p.env = append(os.Environ(), "CHANGEOVER_HOME="+home, "CHANGEOVER_ADDR=127.0.0.1:0", "DATABASE_URL=", "CHANGEOVER_URL=")
	for _, option := range options {
		option(p)
	}
	t.Cleanup(p.clean)
	p.start()
	return p
}

var printedLink = regexp.MustCompile(`(http://[^/\s]+)(/sign-in/\S+)`)

// start starts the program and waits for its sign-in link, or, where somebody
// has signed in before, for the line that says it is ready.
func (p *running) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.bin)
	p.cmd.Env, p.cmd.Dir = p.env, p.dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stderr = p.logs
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	found := make(chan []string, 1)
	go func() {
		for lines := bufio.NewScanner(io.TeeReader(stdout, p.out)); lines.Scan(); {
			if m := printedLink.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case found <- m:
				default:
				}
			}
		}
	}()
	select {
	case m := <-found:
		p.url, p.link = m[1], m[2]
	case <-time.After(90 * time.Second):
		p.t.Fatalf("no sign-in link within 90 s\n%s", p.logs)
	}
}

// run runs a subcommand and returns what it printed.
func (p *running) run(args ...string) string {
	p.t.Helper()
	cmd := exec.Command(p.bin, args...)
	cmd.Env, cmd.Dir = p.env, p.dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("changeover %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// api posts a form as a program with a token does, and returns the answer.
func (p *running) api(token, path, form string) []byte {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+path, strings.NewReader(form))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		p.t.Fatalf("POST %s: %d %s (%v)", path, answer.StatusCode, body, err)
	}
	return body
}

// stop ends the program as a service manager does.
func (p *running) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the program ended with %v\n%s", err, p.logs)
	}
	p.cmd = nil
}

// clean ends everything of the program, databases and all.
func (p *running) clean() {
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
	}
	engine, err := local.Open(local.Config{Home: p.home})
	if err != nil {
		p.t.Errorf("the state directory could not be cleaned: %v", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := engine.KillAll(ctx); err != nil {
		p.t.Errorf("databases are left behind: %v", err)
	}
}
