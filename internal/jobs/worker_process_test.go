package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	process "os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
)

// workerVariable makes the test binary a worker: a process of its own that runs
// operations, so that it can be killed and frozen for real.
const workerVariable = "CHANGEOVER_TEST_WORKER"

func TestMain(m *testing.M) {
	if text := os.Getenv(workerVariable); text != "" {
		if err := work(text); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		return
	}
	if home := os.Getenv(guardianVariable); home != "" {
		if err := beGuardian(home); err != nil {
			fmt.Fprintln(os.Stderr, "guardian:", err)
			os.Exit(1)
		}
		return
	}
	// Much of these tests is waiting: for deadlines, disks, and what comes back by itself.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// orders are what a worker is told: where everything is, and at which point it
// sends itself which signal, once.
type orders struct {
	Control, Home, Trace string
	Deadline             time.Duration
	Point                string
	Signal               syscall.Signal
	Receiver             string // host and port that webhooks may go to
	Locks                string // an epoch file that it holds when it sends itself the signal
	Elect                bool
}

func work(text string) error {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	ctx := context.Background()
	pool, err := db.Open(ctx, o.Control)
	if err != nil {
		return err
	}
	engine, err := testEngine(o.Home)
	if err != nil {
		return err
	}
	sealer, err := db.NewSealer(bytes.Repeat([]byte{7}, 32)) // dbtest's
	if err != nil {
		return err
	}
	trace, err := os.OpenFile(o.Trace, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	hooks, err := sender(o.Receiver, 0)
	if err != nil {
		return err
	}
	j, err := newJobs(pool, engine, sealer, o.Deadline, func(when, what, step string) error {
		p := point{when, what, step}.String()
		fmt.Fprintln(trace, p)
		if p != o.Point {
			return nil
		}
		o.Point = ""
		if o.Locks != "" {
			file, err := os.OpenFile(o.Locks, os.O_RDWR, 0)
			if err == nil {
				err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
			}
			if err != nil {
				return err
			}
		}
		return syscall.Kill(os.Getpid(), o.Signal) // nobody gets past this with SIGKILL
	}, func(c *jobs.Config) { c.Hooks, c.Guard, c.Elect = hooks, guardBy(engine, o.Home), o.Elect })
	if err != nil {
		return err
	}
	if err := j.Start(ctx); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin) // ends with the parent, however that ends
	return err
}

// worker is a running worker process.
type worker struct {
	h     *house
	cmd   *process.Cmd
	trace string
	ended chan struct{}
}

// startWorker starts a worker that sends itself the signal at the point.
func (h *house) startWorker(p point, signal syscall.Signal) *worker {
	h.t.Helper()
	w := &worker{h: h, trace: filepath.Join(h.t.TempDir(), "trace"), ended: make(chan struct{})}
	o := orders{Control: h.control, Home: h.engine.Home, Trace: w.trace, Deadline: h.deadline, Point: p.String(), Signal: signal, Receiver: h.receiver, Elect: h.elects, Locks: h.locks}
	text, err := json.Marshal(o)
	if err != nil {
		h.t.Fatal(err)
	}
	w.cmd = process.Command(os.Args[0])
	w.cmd.Env = append(os.Environ(), workerVariable+"="+string(text))
	var said bytes.Buffer
	w.cmd.Stdout, w.cmd.Stderr = os.Stderr, io.MultiWriter(os.Stderr, &said)
	began := time.Now()
	stdin, err := w.cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() {
		// A signal is what the test has asked for; an error of its own is not, and
		// nobody starts a test's worker again.
		if err := w.cmd.Wait(); w.cmd.ProcessState != nil && w.cmd.ProcessState.Exited() && err != nil {
			h.t.Errorf("a worker ended by itself: %v, after %v: %s", err, time.Since(began).Round(time.Millisecond), said.String())
		}
		_ = stdin.Close()
		close(w.ended)
	}()
	h.t.Cleanup(w.kill)
	return w
}

// kill ends the worker with kill -9, frozen or not.
func (w *worker) kill() {
	_ = w.cmd.Process.Kill() // gone already is as well
	<-w.ended
}

// signal sends the process a signal.
func (w *worker) signal(s syscall.Signal) {
	w.h.t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		w.h.t.Fatal(err)
	}
}

// awaitEnd waits until the worker has killed itself.
func (w *worker) awaitEnd() {
	w.h.t.Helper()
	select {
	case <-w.ended:
	case <-time.After(60 * time.Second):
		w.h.t.Fatalf("the worker did not come to its point; it came to %q", w.points())
	}
}

// awaitFrozen waits until the worker has stopped itself.
func (w *worker) awaitFrozen() {
	w.h.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.cmd.Process.Pid))
		if err == nil && strings.HasPrefix(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " T") {
			return
		}
		if time.Now().After(deadline) {
			w.h.t.Fatalf("the worker did not come to its point; it came to %q", w.points())
		}
	}
}

// points are the points that the worker came to, in order.
func (w *worker) points() []string {
	text, err := os.ReadFile(w.trace)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// handOver leaves the running of operations to worker processes; takeBack ends that.
func (h *house) handOver() {
	h.t.Helper()
	h.close()
	h.quiet = true
	h.open()
}

func (h *house) takeBack() {
	h.t.Helper()
	h.quiet = false
	h.open()
}
