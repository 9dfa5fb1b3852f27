package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

// endPatience is short: what is left after "shut down" has nothing more to
// write, and a switch waits for it.
const endPatience = 50 * time.Millisecond

// Fence writes the file that makes every later start a start in recovery,
// without a leader to stream from, and syncs it. It does not stop s.
func (e *Engine) Fence(ctx context.Context, epoch int64, s engine.Server) error {
	c, err := e.ownCluster(s)
	if err != nil {
		return err
	}
	return e.act(ctx, epoch, c, func() error {
		if err := c.mustBeComplete(); err != nil {
			return err
		}
		return e.fence(c)
	})
}

// fence first takes away what the server could stream or promote itself from,
// then writes standby.signal: in this order no crash leaves it following.
func (e *Engine) fence(c cluster) error {
	if err := e.removeForeign(c); err != nil {
		return err
	}
	if info, err := os.Stat(c.path(followFile)); err == nil && info.Size() > 0 {
		if err := e.writeFile(c.path(followFile), nil, 0o600); err != nil {
			return err
		}
	}
	for _, name := range []string{promoteFile, "recovery.signal"} {
		if exists(c.path(name)) {
			if err := removeFile(c.path(name)); err != nil {
				return err
			}
		}
	}
	if exists(c.path(standbyFile)) {
		return syncDir(c.data)
	}
	return e.writeFile(c.path(standbyFile), nil, 0o600)
}

// Unfence removes the file; the next Start is writable, unless s.Fenced, the
// mark in the control database, still says otherwise. It does not start s.
func (e *Engine) Unfence(ctx context.Context, epoch int64, s engine.Server) error {
	c, err := e.ownCluster(s)
	if err != nil {
		return err
	}
	return e.act(ctx, epoch, c, func() error {
		if err := c.mustBeComplete(); err != nil {
			return err
		}
		if err := errors.Join(removeFile(c.path(followFile)), removeFile(c.path("recovery.signal"))); err != nil {
			return err
		}
		return removeFile(c.path(standbyFile))
	})
}

// EndAll ends whatever is left of a stopped server and proves it gone: SIGQUIT,
// soon after it SIGKILL. It is Conflict, and ends nothing, where the control
// file does not say that s was shut down: writers could lose their end.
func (e *Engine) EndAll(ctx context.Context, epoch int64, s engine.Server) error {
	c, err := e.ownCluster(s)
	if err != nil {
		return err
	}
	return e.act(ctx, epoch, c, func() error {
		if err := c.mustBeComplete(); err != nil {
			return err
		}
		control, err := readControlFile(c.data)
		if err != nil {
			return err
		}
		if control.State != engine.ShutDown && control.State != engine.ShutDownInRecovery {
			return platform.Conflict("%s was not shut down: its files say %s. Stop it first.", c.title(), control.State)
		}
		return e.endAll(ctx, c, endPatience)
	})
}

// Kill is the fence for a sick server: SIGKILL to every process of the
// directory, proven gone, then the file. An error means: do not promote.
func (e *Engine) Kill(ctx context.Context, epoch int64, s engine.Server) error {
	c, err := e.ownCluster(s)
	if err != nil {
		return err
	}
	return e.act(ctx, epoch, c, func() error {
		if pid := e.postmaster(c); pid != 0 { // first the one that could start others
			if err := e.signalPostmaster(c, pid, syscall.SIGKILL); err != nil {
				return err
			}
		}
		if err := e.endAll(ctx, c, 0); err != nil {
			return err
		}
		if err := c.mustBeComplete(); err != nil {
			return err
		}
		return e.fence(c)
	})
}

// Destroy ends s and removes its files. What stays is the epoch, so that an
// attempt that was overtaken cannot make the server again. A shared cluster that
// holds a database is Conflict.
func (e *Engine) Destroy(ctx context.Context, epoch int64, s engine.Server) error {
	c, err := e.cluster(s)
	if err != nil {
		return err
	}
	if err := e.makeDir(c); err != nil {
		return err
	}
	return e.act(ctx, epoch, c, func() error {
		if err := c.mustHoldNoDatabase(s); err != nil {
			return err
		}
		if err := e.endMakers(ctx, c); err != nil {
			return err
		}
		if err := e.stop(ctx, c, destroyPatience); err != nil {
			return err
		}
		// The marker goes first: what is half removed must not be started.
		if err := removeFile(filepath.Join(c.dir, completeFile)); err != nil {
			return err
		}
		entries, err := os.ReadDir(c.dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if entry.Name() == epochFile {
				continue
			}
			if err := os.RemoveAll(filepath.Join(c.dir, entry.Name())); err != nil {
				return err
			}
		}
		return nil
	})
}
