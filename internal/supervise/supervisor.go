// Package supervise keeps one worker process running: it starts it again when
// it dies, ends it when it no longer beats, and passes the signals on that ask
// the program to end. It knows nothing of what the worker does.
package supervise

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The worker learns from this variable that it is one; the supervisor gives it
// the write end of the heartbeat pipe as descriptor 3 and the read end of the
// life pipe as descriptor 4. Nobody else sets it.
const workerVariable = "CHANGEOVER_WORKER_OF"

// ExitForGood is the worker's exit status when starting it again cannot help:
// the supervisor ends, too.
const ExitForGood = 3

// Supervisor starts the worker again whenever it dies, so that kill -9 of the
// worker costs a second and not the night (safety 4). It holds no other state.
type Supervisor struct {
	Command []string // what to run as the worker
	Env     []string
	Home    string // its pid is written there; empty: nowhere
	Stderr  io.Writer
	Silence int           // seconds without a heartbeat after which the worker counts as frozen
	Drain   time.Duration // how long a worker may take to end after SIGTERM
	// AfterEnd runs once after the last worker ended because of a signal; nil:
	// nothing does.
	AfterEnd func()
}

// backoff is how long to wait before the next start, after the worker lived
// for life and died early times in a row.
func backoff(life time.Duration, early int) (time.Duration, int) {
	if life > 10*time.Second {
		return 100 * time.Millisecond, 0
	}
	wait := 200 * time.Millisecond << min(early, 5)
	return min(wait, 5*time.Second), early + 1
}

// Run supervises until SIGTERM or SIGINT arrives, or the worker says that
// there is no point, and returns the exit status.
func (s *Supervisor) Run() int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	if s.Home != "" {
		mine, err := writePID(s.Home)
		if err != nil {
			fmt.Fprintf(s.Stderr, "changeover: the state directory %s cannot be written: %v. Make it writable for this user, or set CHANGEOVER_HOME.\n", s.Home, err)
			return 1
		}
		if mine {
			defer func() { _ = os.Remove(PIDFile(s.Home)) }()
		}
	}
	early := 0
	for {
		started := time.Now()
		status, stopped, err := s.runWorker(signals)
		switch {
		case err != nil:
			fmt.Fprintf(s.Stderr, "changeover: the worker could not be started: %v.\n", err)
		case stopped:
			if s.AfterEnd != nil {
				s.AfterEnd()
			}
			return 0
		case status.Exited() && status.ExitStatus() == ExitForGood:
			return 1
		default:
			fmt.Fprintf(s.Stderr, "changeover: the worker ended (%s) after %s. The databases keep running.\n", describe(status), time.Since(started).Round(time.Millisecond))
		}
		var wait time.Duration
		wait, early = backoff(time.Since(started), early)
		if early > 1 {
			fmt.Fprintf(s.Stderr, "changeover: starting it again in %s.\n", wait)
		}
		select {
		case <-time.After(wait):
		case <-signals:
			if s.AfterEnd != nil {
				s.AfterEnd()
			}
			return 0
		}
	}
}

// pidFile holds the supervisor's pid while it runs, for stop-all.
const pidFile = "supervisor.pid"

// PIDFile is where the supervisor that runs on home writes its pid.
func PIDFile(home string) string { return filepath.Join(home, pidFile) }

// PID is what the pid file of home says; an error when there is none. The
// process may be gone: a supervisor that was killed leaves its file behind.
func PID(home string) (int, error) {
	data, err := os.ReadFile(PIDFile(home))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

// writePID writes this process's pid into home, and says whether it is there
// now: a second program on the same home must not overwrite the first one's
// (the lock, which the worker takes, makes it end).
func writePID(home string) (mine bool, err error) {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return false, err
	}
	if pid, err := PID(home); err == nil && pid != os.Getpid() && syscall.Kill(pid, 0) == nil {
		return false, nil
	}
	return true, os.WriteFile(PIDFile(home), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
}

// runWorker runs one worker to its end. stopped is true when it ended because
// a signal asked the supervisor to.
func (s *Supervisor) runWorker(signals <-chan os.Signal) (status syscall.WaitStatus, stopped bool, err error) {
	beatRead, beatWrite, err := os.Pipe()
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = beatRead.Close() }()
	lifeRead, lifeWrite, err := os.Pipe()
	if err != nil {
		_ = beatWrite.Close()
		return 0, false, err
	}
	// The worker reads the life pipe: its end-of-file says that this process is
	// gone, however it went.
	defer func() { _ = lifeWrite.Close() }()
	process, err := os.StartProcess(s.Command[0], s.Command, &os.ProcAttr{
		Env:   append(s.Env, workerVariable+"="+strconv.Itoa(os.Getpid())),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, beatWrite, lifeRead},
	})
	_ = beatWrite.Close()
	_ = lifeRead.Close()
	if err != nil {
		return 0, false, err
	}
	pid := process.Pid
	_ = process.Release() // waited for below, by pid

	ended := make(chan syscall.WaitStatus, 1)
	go func() { ended <- WaitFor(pid) }()
	beats := make(chan struct{}, 1)
	go watchBeats(beatRead, beats)

	// Ticks are counted, not time: a machine (or a whole process group) that was
	// asleep wakes to one tick, not to ten.
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	silent := 0
	var kill <-chan time.Time
	for {
		select {
		case status := <-ended:
			return status, stopped, nil
		case <-beats:
			silent = 0
		case <-tick.C:
			if silent++; silent == s.Silence {
				fmt.Fprintf(s.Stderr, "changeover: the worker (pid %d) has been silent for %d s; ending it.\n", pid, s.Silence)
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		case <-signals:
			if !stopped {
				stopped = true
				kill = time.After(s.Drain)
			}
			_ = syscall.Kill(pid, syscall.SIGTERM)
		case <-kill:
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// WaitFor waits for pid and, on the way, for every other child: as PID 1 of a
// container this process inherits the orphans, PostgreSQL's among them.
func WaitFor(pid int) syscall.WaitStatus {
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0
		case got == pid:
			return status
		}
	}
}

// watchBeats passes each heartbeat on; it ends with the worker.
func watchBeats(r io.Reader, beats chan<- struct{}) {
	buf := make([]byte, 64)
	for {
		if _, err := r.Read(buf); err != nil {
			return
		}
		select {
		case beats <- struct{}{}:
		default:
		}
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "signal " + status.Signal().String()
	}
	return "exit status " + strconv.Itoa(status.ExitStatus())
}
