// Package program runs the built program for the benchmarks and the demo, and
// speaks to it from outside as anybody's script does: by its command line, over
// HTTP with a token, or as a browser with a session. It knows nothing of what
// is inside.
package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"changeover/bench/cluster"
)

// Program is one copy of the program on a state directory of its own.
type Program struct {
	Binary string // the built program
	Home   string // its state directory
	Addr   string // host:port that it listens on
	// Settings are more of its settings, NAME=value.
	Settings []string
	// Stdout and Stderr are where it writes to; nil is nowhere.
	Stdout, Stderr io.Writer

	server *exec.Cmd
	ended  chan struct{} // closed when the program has ended
}

// Build builds the program of this tree. The directory of path must be there.
func Build(ctx context.Context, path string) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "changeover/cmd/web")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w: %s", err, out)
	}
	return nil
}

// FreeAddr is an address of the loopback interface that nobody listens on now.
func FreeAddr() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// URL is where it answers.
func (p *Program) URL() string { return "http://" + p.Addr }

// Command is the program with arguments. Of the surroundings' settings only
// where PostgreSQL is holds for it.
func (p *Program) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.Binary, args...)
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "CHANGEOVER_") && !strings.HasPrefix(setting, "DATABASE_URL=") {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	if bin := os.Getenv("CHANGEOVER_POSTGRES_BIN"); bin != "" {
		cmd.Env = append(cmd.Env, "CHANGEOVER_POSTGRES_BIN="+bin)
	}
	cmd.Env = append(cmd.Env, "CHANGEOVER_HOME="+p.Home, "CHANGEOVER_ADDR="+p.Addr)
	cmd.Env = append(cmd.Env, p.Settings...)
	return cmd
}

// Run runs a command of the program and returns what it printed.
func (p *Program) Run(ctx context.Context, args ...string) (string, error) {
	var complaints bytes.Buffer
	cmd := p.Command(ctx, args...)
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("changeover %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(complaints.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// startsWithin is how long the program may take until it is ready.
const startsWithin = 2 * time.Minute

// Start starts the program and returns when it is ready.
func (p *Program) Start(ctx context.Context) error {
	p.server = p.Command(context.WithoutCancel(ctx))
	p.server.Stdout, p.server.Stderr = p.Stdout, p.Stderr
	// A Ctrl-C at the terminal is ours to answer, by ending it in order.
	p.server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.server.Start(); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func() {
		_ = p.server.Wait() // its status says nothing: it is asked to end
		close(p.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, startsWithin)
	defer cancel()
	for !isReady(ctx, p.URL()) {
		select {
		case <-p.ended:
			return errors.New("the program ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("the program does not get ready: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

func isReady(ctx context.Context, base string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Ended is closed when the program has ended; nil before Start.
func (p *Program) Ended() <-chan struct{} { return p.ended }

// Token is a new API token of that user.
func (p *Program) Token(ctx context.Context, email string) (*API, error) {
	token, err := p.Run(ctx, "token", "-email", email)
	if err != nil {
		return nil, err
	}
	return NewAPI(p.URL(), token), nil
}

// WorkerPID is the process that serves: the child of the one that was started.
func (p *Program) WorkerPID() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.Home, "lock"))
	if err != nil {
		return 0, err
	}
	pid, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return strconv.Atoi(pid)
}

// SupervisorPID is the process that was started, as its state directory knows it.
func (p *Program) SupervisorPID() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.Home, "supervisor.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// Stop ends the program; its databases go on. One that does not run is no error.
func (p *Program) Stop(ctx context.Context) error {
	if p.ended == nil {
		return nil
	}
	select {
	case <-p.ended:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := p.server.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("the program does not end after SIGTERM"), p.server.Process.Kill())
	}
}

// StopAll ends the program first, which would start again what it finds
// stopped, and then its servers.
func (p *Program) StopAll(ctx context.Context) error {
	err := p.Stop(ctx)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, stopErr := p.Run(ctx, "stop-all")
	return errors.Join(err, stopErr)
}

// EndOther ends a program that runs on the state directory although nobody
// waits for it any more: who started it was killed.
func (p *Program) EndOther(ctx context.Context) error {
	pid, err := p.SupervisorPID()
	if err != nil || syscall.Kill(pid, syscall.SIGTERM) != nil {
		return nil // there is none, or it is gone
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for syscall.Kill(pid, 0) == nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d does not end after SIGTERM: %w", pid, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// KillLeftovers ends at once every process that is at home below the state
// directory, and waits until none is left.
func (p *Program) KillLeftovers(ctx context.Context) error {
	home, err := filepath.EvalSymlinks(p.Home)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		left := cluster.ProcessesIn(home)
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end process %d: %w", pid, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v do not end: %w", left, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
