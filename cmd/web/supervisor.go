package main

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

// exitForGood is the worker's exit status when starting it again cannot help:
// the supervisor ends, too.
const exitForGood = 3

// supervisor starts the worker again whenever it dies, so that kill -9 of the
// worker costs a second and not the night (safety 4). It holds no other state.
type supervisor struct {
	command []string // what to run as the worker
	env     []string
	home    string // its pid is written there; empty: nowhere
	stderr  io.Writer
	silence int           // seconds without a heartbeat after which the worker counts as frozen
	drain   time.Duration // how long a worker may take to end after SIGTERM
	// afterEnd runs once after the last worker ended because of a signal.
	afterEnd func()
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

// run supervises until SIGTERM or SIGINT arrives, or the worker says that
// there is no point, and returns the exit status.
func (s *supervisor) run() int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	if s.home != "" {
		mine, err := writePID(s.home)
		if err != nil {
			fmt.Fprintf(s.stderr, "changeover: the state directory %s cannot be written: %v. Make it writable for this user, or set CHANGEOVER_HOME.\n", s.home, err)
			return 1
		}
		if mine {
			defer func() { _ = os.Remove(filepath.Join(s.home, pidFile)) }()
		}
	}
	early := 0
	for {
		started := time.Now()
		status, stopped, err := s.runWorker(signals)
		switch {
		case err != nil:
			fmt.Fprintf(s.stderr, "changeover: the worker could not be started: %v.\n", err)
		case stopped:
			if s.afterEnd != nil {
				s.afterEnd()
			}
			return 0
		case status.Exited() && status.ExitStatus() == exitForGood:
			return 1
		default:
			fmt.Fprintf(s.stderr, "changeover: the worker ended (%s) after %s. The databases keep running.\n", describe(status), time.Since(started).Round(time.Millisecond))
		}
		var wait time.Duration
		wait, early = backoff(time.Since(started), early)
		if early > 1 {
			fmt.Fprintf(s.stderr, "changeover: starting it again in %s.\n", wait)
		}
		select {
		case <-time.After(wait):
		case <-signals:
			if s.afterEnd != nil {
				s.afterEnd()
			}
			return 0
		}
	}
}

// pidFile holds the supervisor's pid while it runs, for stop-all.
const pidFile = "supervisor.pid"

// writePID writes this process's pid into home, and says whether it is there
// now: a second program on the same home must not overwrite the first one's
// (the lock, which the worker takes, makes it end).
func writePID(home string) (mine bool, err error) {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return false, err
	}
	path := filepath.Join(home, pidFile)
	if pid, err := readPID(path); err == nil && pid != os.Getpid() && syscall.Kill(pid, 0) == nil {
		return false, nil
	}
	return true, os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
}

// runWorker runs one worker to its end. stopped is true when it ended because
// a signal asked the supervisor to.
func (s *supervisor) runWorker(signals <-chan os.Signal) (status syscall.WaitStatus, stopped bool, err error) {
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
	process, err := os.StartProcess(s.command[0], s.command, &os.ProcAttr{
		Env:   append(s.env, workerVariable+"="+strconv.Itoa(os.Getpid())),
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
	go func() { ended <- waitFor(pid) }()
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
			if silent++; silent == s.silence {
				fmt.Fprintf(s.stderr, "changeover: the worker (pid %d) has been silent for %d s; ending it.\n", pid, s.silence)
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		case <-signals:
			if !stopped {
				stopped = true
				kill = time.After(s.drain)
			}
			_ = syscall.Kill(pid, syscall.SIGTERM)
		case <-kill:
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// waitFor waits for pid and, on the way, for every other child: as PID 1 of a
// container this process inherits the orphans, PostgreSQL's among them.
func waitFor(pid int) syscall.WaitStatus {
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

func readPID(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}
