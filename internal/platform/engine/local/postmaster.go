package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"changeover/internal/platform"
)

// lockLines are what postmaster.pid says.
type lockLines struct {
	pid    int
	dir    string
	status string // "starting", "ready", "stopping" …; empty while it is not written yet
}

func readLockFile(path string) (lockLines, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return lockLines{}, false
	}
	lines := strings.Split(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 0 {
		return lockLines{}, false
	}
	l := lockLines{pid: pid}
	if len(lines) > 1 {
		l.dir = strings.TrimSpace(lines[1])
	}
	if len(lines) > 7 {
		l.status = strings.TrimSpace(lines[7])
	}
	return l, true
}

// postmaster is the pid of the directory's live postmaster, else 0: a pid file
// that names another process, or a postgres of another directory, is stale.
func (e *Engine) postmaster(c cluster) int {
	lock, ok := readLockFile(c.path("postmaster.pid"))
	if !ok {
		return 0
	}
	if isPostgres(lock.pid) && worksIn(lock.pid, c.data) {
		return lock.pid
	}
	// In a container of its own it has another number for itself than for us.
	pids, err := e.processes(c)
	if err != nil {
		return 0 // whoever acts on that looks at the processes again
	}
	for _, pid := range pids {
		if isPostgres(pid) && pidInside(pid) == lock.pid {
			return pid
		}
	}
	return 0
}

// removeStaleLocks takes away what a server killed outright has left and what
// PostgreSQL, seeing any live process of that number, would refuse to start on.
// Only for a directory without a live postmaster. A postgres that might be the
// one keeps its file: Conflict.
func (e *Engine) removeStaleLocks(c cluster) error {
	if lock, ok := readLockFile(c.path("postmaster.pid")); ok && isPostgres(lock.pid) && userOf(lock.pid) == e.owner.uidOf() && isHidden(lock.pid) {
		return platform.Conflict("%s is not started: process %d may be it, and it cannot be seen where that process works. End it, or restart the machine.", c.title(), lock.pid)
	}
	if err := removeFile(c.path("postmaster.pid")); err != nil {
		return err
	}
	socket := filepath.Join(e.sockets, ".s.PGSQL."+strconv.Itoa(c.port))
	lock, ok := readLockFile(socket + ".lock")
	if ok && lock.dir != c.data && isPostgres(lock.pid) && worksIn(lock.pid, lock.dir) {
		return nil // another server of ours has the port; starting will say so
	}
	return errors.Join(removeFile(socket+".lock"), removeFile(socket))
}

func (e *Engine) signalPostmaster(c cluster, pid int, sig syscall.Signal) error {
	p, err := openProcess(pid, c.data)
	if err != nil || p == nil {
		return err
	}
	defer p.close()
	return p.signal(sig)
}

// processes are all that live in the data directory.
func (e *Engine) processes(c cluster) ([]int, error) {
	return processesIn(c.data, e.owner.uidOf())
}

// endAll ends every process of the directory: SIGQUIT to the postmaster, which
// passes it on, then SIGKILL to what is left after patience. nil means proven:
// a look at all processes found none.
func (e *Engine) endAll(ctx context.Context, c cluster, patience time.Duration) error {
	if pid := e.postmaster(c); pid != 0 && patience > 0 {
		if err := e.signalPostmaster(c, pid, syscall.SIGQUIT); err != nil {
			return err
		}
	}
	return e.endProcesses(ctx, c.name, patience, func() ([]int, error) { return e.processes(c) }, c.data)
}

// endProcesses waits until list, whose processes are in dir, is empty; after
// patience it kills. It gives up after ten seconds of killing.
func (e *Engine) endProcesses(ctx context.Context, name string, patience time.Duration, list func() ([]int, error), dir string) error {
	killAt := time.Now().Add(patience)
	giveUp := killAt.Add(10 * time.Second)
	for {
		pids, err := list()
		if err != nil {
			return fmt.Errorf("processes of %s: %w", name, err)
		}
		if len(pids) == 0 {
			return nil
		}
		killing := !time.Now().Before(killAt)
		if killing && time.Now().After(giveUp) {
			return fmt.Errorf("%d processes of %s are still there after SIGKILL: %v", len(pids), name, pids)
		}
		for _, pid := range pids {
			p, err := openProcess(pid, dir)
			if err != nil {
				return err
			}
			if p == nil {
				continue
			}
			if killing {
				err = p.signal(syscall.SIGKILL)
			}
			if err == nil {
				p.gone(min(max(time.Until(killAt), 50*time.Millisecond), 100*time.Millisecond))
			}
			p.close()
			if err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !killing && time.Now().After(killAt) {
				break
			}
		}
	}
}
