package local

import (
	"context"
	"strings"
	"syscall"
	"time"
)

// awaitSeen waits until a look at the machine's processes finds the copy. Start
// returns in the middle of exec, when the kernel shows neither its new command
// line nor its user: on a busy machine a look then finds nothing, and a copy
// that has hardly begun would pass for one that was cut off.
func (e *Engine) awaitSeen(ctx context.Context, c cluster, ended <-chan struct{}) error {
	for {
		running, err := e.makers(c)
		if err != nil || len(running) > 0 {
			return err
		}
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// makers are the processes that fill c.data from beside it: a copy's shell and
// pg_basebackup, or initdb. Known by what they run and where, not by a number
// in a file, which another process can have by now.
func (e *Engine) makers(c cluster) ([]int, error) {
	pids, err := processesIn(c.dir, e.owner.uidOf())
	if err != nil {
		return nil, err
	}
	running := pids[:0]
	for _, pid := range pids {
		if line := commandLine(pid); strings.Contains(line, "pg_basebackup") || strings.Contains(line, "initdb") {
			running = append(running, pid)
		}
	}
	return running, nil
}

// endMakers ends a copy into c, or an initdb that outlived its program.
func (e *Engine) endMakers(ctx context.Context, c cluster) error {
	pids, err := e.makers(c)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		p, err := openProcess(pid, c.dir)
		if err != nil {
			return err
		}
		if p != nil {
			err = p.signal(syscall.SIGTERM)
			p.close()
		}
		if err != nil {
			return err
		}
	}
	return e.endProcesses(ctx, c.name, time.Second, func() ([]int, error) { return e.makers(c) }, c.dir)
}
