package supervise

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary stands in for the program: as a supervisor of itself, and as
// a worker that says its pid and beats.
func TestMain(m *testing.M) {
	switch role := os.Getenv("CHANGEOVER_TEST_ROLE"); {
	case role == "":
		os.Exit(m.Run())
	case Supervised():
		ctx, cancel := LiveUnder(context.Background())
		defer cancel()
		fmt.Println("worker", os.Getpid())
		if role == "hopeless" {
			os.Exit(ExitForGood)
		}
		if role == "dies" {
			os.Exit(1)
		}
		<-ctx.Done()
		fmt.Println("orphan", os.Getpid())
		os.Exit(0)
	default:
		self, err := os.Executable()
		if err != nil {
			panic(err)
		}
		s := &Supervisor{Command: []string{self}, Env: os.Environ(), Stderr: os.Stderr, Silence: 2, Drain: 5 * time.Second}
		os.Exit(s.Run())
	}
}

// superviseTest starts a supervisor and returns the lines that it and its
// workers print.
func superviseTest(t *testing.T, role string) (*exec.Cmd, <-chan string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "CHANGEOVER_TEST_ROLE="+role)
	// A file of our own instead of cmd's: its end-of-file says that the last
	// worker is gone as well.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_, _ = io.Copy(io.Discard, r)
		_ = r.Close()
	})
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return cmd, lines
}

func nextWorker(t *testing.T, lines <-chan string, within time.Duration) int {
	t.Helper()
	deadline := time.After(within)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatal("the supervisor ended")
			}
			if pid, found := strings.CutPrefix(line, "worker "); found {
				n, err := strconv.Atoi(pid)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		case <-deadline:
			t.Fatalf("no worker within %s", within)
		}
	}
}

func TestMeasuredSupervisorRestartsAKilledWorker(t *testing.T) {
	_, lines := superviseTest(t, "serves")
	first := nextWorker(t, lines, 5*time.Second)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if second := nextWorker(t, lines, time.Second); second == first {
		t.Errorf("the same worker %d again", second)
	}
}

func TestMeasuredSupervisorRestartsAFrozenWorker(t *testing.T) {
	_, lines := superviseTest(t, "serves")
	first := nextWorker(t, lines, 5*time.Second)
	if err := syscall.Kill(first, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	nextWorker(t, lines, 5*time.Second)
	if err := syscall.Kill(first, 0); err == nil {
		t.Errorf("the frozen worker %d still exists", first)
	}
}

func TestSupervisorForwardsSIGTERM(t *testing.T) {
	cmd, lines := superviseTest(t, "serves")
	nextWorker(t, lines, 5*time.Second)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitClosed(t, lines, 5*time.Second)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the supervisor ended with %v", err)
	}
}

func TestSupervisorEndsWhenItIsHopeless(t *testing.T) {
	cmd, lines := superviseTest(t, "hopeless")
	waitClosed(t, lines, 5*time.Second)
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("want exit status 1, got %v", err)
	}
}

func TestWorkerEndsWithItsSupervisor(t *testing.T) {
	cmd, lines := superviseTest(t, "serves")
	nextWorker(t, lines, 5*time.Second)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	waitClosed(t, lines, 5*time.Second) // end-of-file: no process holds the pipe any more
}

func TestSupervisorWaitsLongerEachTime(t *testing.T) {
	early, last := 0, time.Duration(0)
	for range 8 {
		var wait time.Duration
		wait, early = backoff(time.Millisecond, early)
		if wait < last || wait > 5*time.Second {
			t.Errorf("wait %s after %s", wait, last)
		}
		last = wait
	}
	if last != 5*time.Second {
		t.Errorf("longest wait %s, want 5s", last)
	}
	if wait, early := backoff(time.Minute, 7); wait > time.Second || early != 0 {
		t.Errorf("after a long life: wait %s, early %d", wait, early)
	}
	_, lines := superviseTest(t, "dies")
	for range 3 {
		nextWorker(t, lines, 5*time.Second)
	}
}

// waitClosed waits for the end of everything that could write a line.
func waitClosed(t *testing.T, lines <-chan string, within time.Duration) {
	t.Helper()
	deadline := time.After(within)
	for {
		select {
		case _, ok := <-lines:
			if !ok {
				return
			}
		case <-deadline:
			t.Fatalf("still running after %s", within)
		}
	}
}
