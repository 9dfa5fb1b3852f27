package jobs

import (
	"context"
	"errors"
	"fmt"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// markOldFenced sets both marks of safety 1.3: the engine's in the control
// database, then the file. Either is enough.
func (c *switcher) markOldFenced(ctx context.Context) error {
	if err := c.InTx(ctx, func(tx pgx.Tx) error {
		return markServer(ctx, tx, c.old, true, platform.ServerStopped)
	}); err != nil {
		return err
	}
	c.old.Server.Fenced = true
	return c.j.Engine.Fence(ctx, c.Epoch, c.old.Server)
}

// fenceWrites stops the old leader. It is fenced when its control file says
// "shut down": the shutdown checkpoint is then the end of its timeline.
func (c *switcher) fenceWrites(ctx context.Context) error {
	if err := c.markOldFencedAgain(ctx); err != nil {
		return err
	}
	if err := c.holdAgain(ctx); err != nil {
		return err
	}
	c.countEnded(ctx)
	control, proof, err := c.j.Engine.StopForSwitch(ctx, c.Epoch, c.old.Server, c.it.slot())
	if platform.KindOf(err) == platform.KindConflict {
		return workflow.Abort("%s had crashed before it could be stopped, so the end of its WAL is not certain. It is started again; then try again.", c.old.name())
	}
	if err != nil {
		return err
	}
	if control.State != engine.ShutDown {
		return workflow.Abort("%s did not end as a leader does (its control file says %q), so the end of its WAL is not certain", c.old.name(), control.State)
	}
	c.facts.ShutdownLSN, c.facts.OldTimeline = &control.CheckpointLSN, &control.Timeline
	c.proof = proof
	c.Detail("%s", c.describeEnded())
	return nil
}

// markOldFencedAgain repeats the mark in an attempt that began inside the
// outage; in the attempt that set it, it costs a look at a file.
func (c *switcher) markOldFencedAgain(ctx context.Context) error {
	status, err := c.j.Engine.Status(ctx, c.old.Server)
	if err != nil {
		return err
	}
	if status.Running && c.probe == nil {
		// Writes still go through, or do so again: what an earlier attempt had
		// ready is made ready once more. Without it the outage is only longer. Where
		// clients are held a checkpoint would be part of the outage, and the stop
		// writes the same pages.
		held := c.held || !c.before.since.IsZero()
		if err := c.makeReady(ctx, postgres.Preparation{Slots: c.slots, NoCheckpoint: held}); err != nil {
			c.Log.Warn("the switch goes on without all of its preparation", "error", err)
		}
	}
	if c.old.Server.Fenced && status.StandbySignal {
		return nil
	}
	return c.markOldFenced(ctx)
}

// isFencedFor proves, without asking the old leader, that it cannot write: no
// process of it lives, and it ended with the shutdown checkpoint that was noted.
func (c *switcher) isFencedFor(ctx context.Context, shutdown platform.LSN) (bool, error) {
	status, err := c.j.Engine.Status(ctx, c.old.Server)
	if err != nil {
		return false, err
	}
	return !status.Running && status.StandbySignal && status.Control.State == engine.ShutDown && status.Control.CheckpointLSN == shutdown, nil
}

// waitUntilZeroBehind waits until the candidate has replayed past the shutdown
// checkpoint: that record, never a count, is zero lag. Then nothing of the old
// leader may be left.
func (c *switcher) waitUntilZeroBehind(ctx context.Context) error {
	if c.proof == nil || c.facts.ShutdownLSN == nil {
		if err := c.fenceWrites(ctx); err != nil { // an attempt that began here reads it again
			return err
		}
	}
	noted := make(chan error, 1)
	go func() { noted <- c.noteShutdown(ctx, c.InRelaxedTx) }()
	candidate, err := c.candidateConn(ctx)
	if err == nil {
		err = c.awaitReplay(ctx, candidate)
	}
	if notedErr := <-noted; notedErr != nil {
		return notedErr
	}
	if errors.Is(err, postgres.ErrNeverComes) && c.Operation.NoReturnAt == nil {
		return workflow.Abort("%s has not received everything from %s, which is stopped, and nothing more can come. See in its log why it ended, then try again.", c.it.name(), c.old.name())
	}
	if err != nil {
		return c.lost(err)
	}
	if err := c.j.Engine.EndAll(ctx, c.Epoch, c.old.Server); err != nil {
		return err
	}
	control, err := c.proof(ctx)
	if err != nil {
		return err
	}
	fenced, err := c.isFencedFor(ctx, control.CheckpointLSN)
	if err != nil {
		return err
	}
	if !fenced || control.CheckpointLSN != *c.facts.ShutdownLSN {
		return fmt.Errorf("%s could not be proven fenced: pg_controldata says %s at %s", c.old.name(), control.State, control.CheckpointLSN)
	}
	c.Detail("Replayed past %s, the last record of %s", *c.facts.ShutdownLSN, c.old.name())
	return nil
}

// awaitReplay waits until the candidate has replayed past the end of the old
// timeline. postgres.ErrNeverComes where it lacks that end and can never get it.
func (c *switcher) awaitReplay(ctx context.Context, candidate *pgx.Conn) error {
	err := postgres.ReplayedPast(ctx, candidate, *c.facts.ShutdownLSN, func(left int64) {
		c.Detail("%s behind", platform.Bytes(left))
	})
	if err == nil {
		c.replayed = *c.facts.ShutdownLSN
	}
	return err
}

// noteShutdown writes the end of the old timeline down, and since when pools are held. Before the point of no
// return it need not wait for the disk: that record comes next and carries it there.
func (c *switcher) noteShutdown(ctx context.Context, inTx func(context.Context, func(pgx.Tx) error) error) error {
	facts := db.Changeover{OperationID: c.Operation.ID, ShutdownLSN: c.facts.ShutdownLSN, OldTimeline: c.facts.OldTimeline,
		SessionsEnded: c.facts.SessionsEnded, TransactionsEnded: c.facts.TransactionsEnded}
	if !c.heldSince.IsZero() {
		facts.HeldSince = &c.heldSince
	}
	return inTx(ctx, func(tx pgx.Tx) error { return db.SaveSwitch(ctx, tx, facts) })
}

// fenceAnew is for a point of no return that is on record while the old leader is
// not fenced as it was noted, and nothing is promoted: writes went through again
// since. Where the old leader died meanwhile, the end of its WAL is not certain,
// or the candidate may not have it: it is opened once more, as a guardian does,
// so that it can end in order.
func (c *switcher) fenceAnew(ctx context.Context) error {
	status, err := c.j.Engine.Status(ctx, c.old.Server)
	if err != nil {
		return err
	}
	if !status.Running || status.Control.State != engine.InProduction {
		inRecovery, err := c.j.Engine.WithdrawPromotion(ctx, c.Epoch, c.it.Server)
		if err != nil {
			return fmt.Errorf("prove that %s is not promoted: %w", c.it.name(), err)
		}
		if !inRecovery {
			return fmt.Errorf("%s has left recovery, so %s stays closed; a person must look at both", c.it.name(), c.old.name())
		}
		_ = c.lost(errCandidateMoved) // it may have been started again just now
		if err := openAgain(ctx, c.j.Engine, c.Epoch, c.old.Server); err != nil {
			return err
		}
	}
	// Stopped before the candidate streams from it again, it would have been opened
	// for nothing. Also in a try after one that ended here.
	if err := c.caughtUpWithNoted(ctx); err != nil {
		return err
	}
	c.proof = nil
	if err := c.waitUntilZeroBehind(ctx); err != nil {
		return err
	}
	// The point of no return lies behind, so nothing else carries the new end
	// of the old timeline to the disk: an attempt after a crash compares with it.
	return c.noteShutdown(ctx, c.InTx)
}

// caughtUpWithNoted waits until the candidate has the end of the old timeline that
// was noted last, from the old leader that runs again.
func (c *switcher) caughtUpWithNoted(ctx context.Context) error {
	if c.facts.ShutdownLSN == nil {
		return nil
	}
	candidate, err := c.candidateConn(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, replayTry)
	defer cancel()
	for {
		err := postgres.ReplayedPast(ctx, candidate, *c.facts.ShutdownLSN, nil)
		if !errors.Is(err, postgres.ErrNeverComes) { // which the old leader that runs makes untrue
			return c.lost(err)
		}
	}
}

// errCandidateMoved is why the kept connection to the candidate is dropped.
var errCandidateMoved = errors.New("the candidate may have been started again")
