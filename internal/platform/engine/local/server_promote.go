package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

// leavePatience is how long a promotion that began may take to show its end.
const leavePatience = 30 * time.Second

// leaveGrace is how long a promotion that was asked for may take to begin.
const leaveGrace = 500 * time.Millisecond

// withdrawPatience is how long a candidate may take to stop: the old leader
// waits for it, closed to everybody, and nothing on a standby is lost by a hard end.
const withdrawPatience = 2 * time.Second

// requested is the file that says: a promotion may be under way. Every
// promotion of ours writes it first, so that its absence is a proof.
func (c cluster) requested() string { return filepath.Join(c.dir, requestedFile) }

// Promote asks s to leave recovery and returns at once. It is nil for a server
// that left it already.
func (e *Engine) Promote(ctx context.Context, epoch int64, s engine.Server) error {
	c, err := e.ownCluster(s)
	if err != nil {
		return err
	}
	return e.act(ctx, epoch, c, func() error {
		if err := c.mustBeComplete(); err != nil {
			return err
		}
		if s.Fenced {
			return platform.Conflict("%s is fenced and cannot be promoted.", c.title())
		}
		pid := e.postmaster(c)
		if pid == 0 {
			return platform.Unavailable(nil, "%s does not run, so it cannot be promoted. Start it first.", c.title())
		}
		// PostgreSQL removes this file as it leaves recovery, before the first write.
		if !exists(c.path(standbyFile)) {
			return nil
		}
		// Not synced: after a crash of the machine the server starts in recovery,
		// and PostgreSQL removes the promote file at its start.
		for _, path := range []string{c.requested(), c.path(promoteFile)} {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
		}
		if err := e.owner.take(c.path(promoteFile)); err != nil {
			return err
		}
		return e.signalPostmaster(c, pid, syscall.SIGUSR1)
	})
}

// WithdrawPromotion makes sure that no promotion of s is under way or will
// happen: true when s is proven in recovery, false when it already left it. A
// promotion that was asked for gets half a second to show: it is then under way
// and is let through. If nothing came of it the server is stopped and started
// again in recovery, since a signal on its way cannot be called back.
func (e *Engine) WithdrawPromotion(ctx context.Context, epoch int64, s engine.Server) (inRecovery bool, err error) {
	c, err := e.ownCluster(s)
	if err != nil {
		return false, err
	}
	err = e.act(ctx, epoch, c, func() error {
		if err := c.mustBeComplete(); err != nil {
			return err
		}
		inRecovery, err = e.withdraw(ctx, s, c)
		return err
	})
	return inRecovery, err
}

func (e *Engine) withdraw(ctx context.Context, s engine.Server, c cluster) (inRecovery bool, err error) {
	if !exists(c.path(standbyFile)) {
		return false, e.awaitProduction(ctx, c)
	}
	running := e.postmaster(c) != 0
	if running && (exists(c.requested()) || exists(c.path(promoteFile))) {
		if left, err := e.awaitLeaving(ctx, c); err != nil || left {
			return false, err
		}
		if err := removeFile(c.path(promoteFile)); err != nil {
			return false, err
		}
		if err := e.stop(ctx, c, withdrawPatience); err != nil {
			return false, err
		}
		// It may have left recovery after all while it was being stopped: the
		// file tells. Either way it runs again, and is what the file says.
		if err := e.startServer(ctx, s, c); err != nil {
			return false, err
		}
	}
	if !exists(c.path(standbyFile)) {
		return false, e.awaitProduction(ctx, c)
	}
	if !running {
		if err := errors.Join(removeFile(c.path(promoteFile)), removeFile(c.requested())); err != nil {
			return false, err
		}
	}
	control, err := readControlFile(c.data)
	if err != nil {
		return false, err
	}
	switch control.State {
	case engine.InArchiveRecovery, engine.ShutDownInRecovery:
		return true, nil
	}
	if !running { // fenced or copied and not started yet: the file decides
		return true, nil
	}
	return false, fmt.Errorf("%s has standby.signal and is %s", c.name, control.State)
}

// awaitLeaving gives a promotion that was asked for a moment to begin, and the
// time to end once it did.
func (e *Engine) awaitLeaving(ctx context.Context, c cluster) (left bool, err error) {
	for deadline := time.Now().Add(leaveGrace); exists(c.path(standbyFile)); {
		if time.Now().After(deadline) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return true, e.awaitProduction(ctx, c)
}

// awaitProduction waits until a server that began to leave recovery says that
// it did. A stopped one has nothing more to say.
func (e *Engine) awaitProduction(ctx context.Context, c cluster) error {
	deadline := time.Now().Add(leavePatience)
	for e.postmaster(c) != 0 {
		control, err := readControlFile(c.data)
		if err != nil || control.State == engine.InProduction {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s began to leave recovery and is still %s", c.name, control.State)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}
