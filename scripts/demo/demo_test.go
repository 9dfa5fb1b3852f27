package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"changeover/bench/cluster"
	"changeover/bench/program"
)

// TestDemo makes the demo, looks for what is promised, kills it, and finds that
// demo-clean leaves nothing.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the whole program: about a minute")
	}
	m := newMachine(t)
	first := m.start()
	link := first.awaitLink()
	if status := m.get(link); status != http.StatusOK {
		t.Errorf("the link answers %d", status)
	}
	api, err := m.program.Token(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	s := m.look(api)

	// Whoever starts it twice gets another link, not another demo.
	second := m.start()
	if again := second.awaitLink(); again == link || !strings.Contains(second.out.String(), "runs already") {
		t.Errorf("the second start printed\n%s", second.out.String())
	}
	second.wait()

	// Killed, demo and program: the next one goes on with what is there.
	first.kill()
	third := m.start()
	third.awaitLink()
	if text := third.out.String(); !strings.Contains(text, "Going on") {
		t.Errorf("the third start printed\n%s", text)
	}
	if now := m.look(api); now != s {
		t.Errorf("the demo of before was %+v and is %+v", s, now)
	}

	// Cleaning ends a demo that runs, and may be done twice.
	for _, want := range []string{"Removed", "nothing to remove"} {
		if text := m.clean(); !strings.Contains(text, want) {
			t.Errorf("demo-clean printed\n%s", text)
		}
		m.wantNothing()
	}
	third.wait()
}

func TestCleanRemovesAHalfMadeDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the whole program: half a minute")
	}
	m := newMachine(t)
	demo := m.start()
	demo.await("the first server", func() bool {
		found, _ := filepath.Glob(filepath.Join(m.home, "servers", "*", "data", "PG_VERSION"))
		return len(found) > 0
	})
	demo.kill()
	if text := m.clean(); !strings.Contains(text, "Removed") {
		t.Errorf("demo-clean printed\n%s", text)
	}
	m.wantNothing()
}

func TestWhatIsNoDemoIsLeftAlone(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "letter"), []byte("Dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"-clean", "-addr=127.0.0.1:0"} {
		var out bytes.Buffer
		if err := run(t.Context(), []string{"-home", home, more}, &out); err == nil {
			t.Errorf("%s: not refused:\n%s", more, out.String())
		}
		if _, err := os.Stat(filepath.Join(home, "letter")); err != nil {
			t.Error(err)
		}
	}
}

func TestATakenPortIsASentence(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	home := filepath.Join(t.TempDir(), "demo")
	err = run(t.Context(), []string{"-home", home, "-addr", listener.Addr().String()}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "DEMO_ADDR") {
		t.Errorf("a taken port: %v", err)
	}
}

// machine is where the demo is made: a directory and a port.
type machine struct {
	t       *testing.T
	bin     string // directory of the built commands
	home    string
	program *program.Program
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	programs, err := cluster.Find(0)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "demo")
	if err != nil {
		t.Fatal(err)
	}
	addr, err := program.FreeAddr()
	if err == nil {
		err = programs.Own(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, bin: dir, home: filepath.Join(dir, "h")}
	m.program = &program.Program{Binary: filepath.Join(dir, "changeover"), Home: m.home, Addr: addr}
	t.Cleanup(func() {
		if _, err := os.Stat(m.home); err == nil {
			_ = m.program.EndOther(context.Background())
			if err := m.program.KillLeftovers(context.Background()); err != nil {
				t.Error(err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := program.Build(t.Context(), m.program.Binary); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "demo"), ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return m
}

func (m *machine) command(more ...string) *exec.Cmd {
	return exec.Command(filepath.Join(m.bin, "demo"), append([]string{"-home", m.home, "-addr", m.program.Addr, "-program", m.program.Binary}, more...)...)
}

// started is a demo that runs.
type started struct {
	*machine
	cmd *exec.Cmd
	out *output
	end chan error
}

func (m *machine) start() *started {
	m.t.Helper()
	s := &started{machine: m, cmd: m.command(), out: &output{}, end: make(chan error, 1)}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	go func() { s.end <- s.cmd.Wait() }()
	return s
}

var printedLink = regexp.MustCompile(`http://\S+/sign-in/\S+`)

func (s *started) awaitLink() (link string) {
	s.t.Helper()
	s.await("a sign-in link", func() bool {
		link = printedLink.FindString(s.out.String())
		return link != ""
	})
	s.t.Logf("%s", s.out.String())
	return link
}

func (s *started) await(what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(5 * time.Minute); !is(); {
		if time.Now().After(end) {
			s.t.Fatalf("no %s within 5 minutes\n%s", what, s.out.String())
		}
		select {
		case err := <-s.end:
			s.end <- err
			if !is() {
				s.t.Fatalf("the demo ended without %s: %v\n%s", what, err, s.out.String())
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *started) wait() {
	s.t.Helper()
	select {
	case err := <-s.end:
		if err != nil {
			s.t.Errorf("the demo ended with %v\n%s", err, s.out.String())
		}
	case <-time.After(time.Minute):
		s.t.Fatalf("the demo does not end\n%s", s.out.String())
	}
}

// kill is kill -9 of the demo and of the whole program below it.
func (s *started) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	<-s.end
	worker, err := s.program.WorkerPID()
	if err != nil {
		s.t.Fatal(err)
	}
	supervisor, err := s.program.SupervisorPID()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, pid := range []int{supervisor, worker} {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			s.t.Errorf("kill %d: %v", pid, err)
		}
	}
}

func (m *machine) get(url string) int {
	m.t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		m.t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func (m *machine) clean() string {
	m.t.Helper()
	out, err := m.command("-clean").CombinedOutput()
	if err != nil {
		m.t.Fatalf("demo-clean: %v\n%s", err, out)
	}
	return string(out)
}

// wantNothing looks for what a demo could have left behind.
func (m *machine) wantNothing() {
	m.t.Helper()
	if _, err := os.Stat(m.home); !os.IsNotExist(err) {
		m.t.Errorf("%s is still there: %v", m.home, err)
	}
	if left := cluster.ProcessesIn(m.home); len(left) > 0 {
		m.t.Errorf("processes %v are left", left)
	}
	listener, err := net.Listen("tcp", m.program.Addr)
	if err != nil {
		m.t.Errorf("the port is still taken: %v", err)
		return
	}
	listener.Close()
}

// seen is what look found, as far as it stays the same.
type seen struct{ held, fork string }

// look finds everything that is promised.
func (m *machine) look(api *program.API) seen {
	t, ctx := m.t, m.t.Context()
	t.Helper()
	var list []struct {
		database
		App  string
		Role string
	}
	if err := api.Call(ctx, http.MethodGet, "/databases", nil, &list); err != nil {
		t.Fatal(err)
	}
	roles := map[string]int{}
	s := seen{}
	for _, d := range list {
		roles[d.App+" "+d.Role]++
		switch {
		case d.Role == "fork":
			s.fork = d.Name
		case d.Lag != nil && d.Lag.Known && d.Lag.Bytes > 1024<<20:
			s.held = d.Name
		}
	}
	for _, want := range []string{"sushi leader", "sushi replaced", "ramen leader", "ramen fork"} {
		if roles[want] != 1 {
			t.Errorf("%d of %q among %v", roles[want], want, roles)
		}
	}
	if roles["sushi follower"] != 2 || s.held == "" {
		t.Errorf("followers: %v, held up: %q", roles, s.held)
	}
	var notices []struct{ Kind, Level string }
	if err := api.Call(ctx, http.MethodGet, "/notices", nil, &notices); err != nil || len(notices) < 5 {
		t.Errorf("%d notices: %v", len(notices), err)
	}
	found, err := readState(m.home)
	if err != nil || found == nil || !found.Complete {
		t.Fatalf("the demo's notes: %+v, %v", found, err)
	}
	for id, want := range map[int64]string{found.Changeover: "completed", found.Undone: "undone"} {
		if o, err := api.Await(ctx, id, func(program.Operation) bool { return true }); err != nil || o.State != want {
			t.Errorf("operation %d is %s, want %s (%v)", id, o.State, want, err)
		}
	}
	m.wantWriter(api)
	return s
}

// wantWriter waits until an order has come in since now.
func (m *machine) wantWriter(api *program.API) {
	t, ctx := m.t, m.t.Context()
	t.Helper()
	var vars map[string]string
	if err := api.Call(ctx, http.MethodGet, "/apps/sushi/config-vars", nil, &vars); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, vars["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := awaitTrue(ctx, conn, "the writer writes", "select max(at) > $1 from orders", time.Now()); err != nil {
		t.Error(err)
	}
}
