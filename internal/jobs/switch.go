package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// prepareSwitch does all that the outage would otherwise have to wait for, and
// marks the old leader: from here on, whoever starts it starts it in recovery.
func (c *changeover) prepareSwitch(ctx context.Context) error {
	candidate, err := c.candidateConn(ctx)
	if err != nil {
		return err
	}
	if c.leaderConn, err = c.j.connect(ctx, c.old); err != nil {
		return err
	}
	// Other followers of the old leader do not move by themselves in a changeover
	// (spec 3b), so no slots are made for them.
	if _, err := postgres.PrepareCandidate(ctx, c.leaderConn, candidate, postgres.Preparation{}); err != nil {
		return c.lost(err)
	}
	if err := c.j.Engine.PrepareStop(ctx, c.old.Server); err != nil {
		return err
	}
	if err := c.armProbe(ctx); err != nil {
		return err
	}
	if err := c.markOldFenced(ctx); err != nil {
		return err
	}
	c.Detail("Checkpoints done, %s marked as fenced", c.old.Database.Name)
	return nil
}

// markOldFenced sets both marks of safety 1.3: the engine's in the control
// database, then the file. Either is enough.
func (c *changeover) markOldFenced(ctx context.Context) error {
	if err := c.InTx(ctx, func(tx pgx.Tx) error {
		return markServer(ctx, tx, c.old, true, platform.ServerStopped)
	}); err != nil {
		return err
	}
	c.old.Server.Fenced = true
	return c.j.Engine.Fence(ctx, c.Epoch, c.old.Server)
}

// armProbe starts to write through the app's own URL, with a connection to the
// candidate opened beforehand so that no handshake is measured as an outage.
func (c *changeover) armProbe(ctx context.Context) error {
	if c.probe != nil {
		return nil
	}
	oldURL, err := c.j.url(ctx, c.j.Pool, c.old)
	if err != nil {
		return err
	}
	newURL, err := c.j.url(ctx, c.j.Pool, c.it)
	if err != nil {
		return err
	}
	probe := postgres.NewProbe(oldURL)
	if err := probe.Prepare(ctx, newURL); err != nil {
		return fmt.Errorf("%s takes no connection through its URL: %w", c.it.Database.Name, err)
	}
	if err := probe.Start(ctx); err != nil {
		return fmt.Errorf("%s takes no write through its URL: %w", c.old.Database.Name, err)
	}
	c.probe = probe
	return nil
}

// candidateConn is the admin connection to the candidate, kept open.
func (c *changeover) candidateConn(ctx context.Context) (*pgx.Conn, error) {
	if c.candidate != nil && !c.candidate.IsClosed() {
		return c.candidate, nil
	}
	conn, err := c.j.connect(ctx, c.it)
	c.candidate = conn
	return conn, err
}

// lost drops the kept connection after an error on it; the next try opens another.
func (c *changeover) lost(err error) error {
	if c.candidate != nil && err != nil {
		closeSoon(c.candidate)
		c.candidate = nil
	}
	return err
}

// fenceWrites stops the old leader. It is fenced when its control file says
// "shut down": the shutdown checkpoint is then the end of its timeline.
func (c *changeover) fenceWrites(ctx context.Context) error {
	if err := c.markOldFencedAgain(ctx); err != nil {
		return err
	}
	c.countEnded(ctx)
	control, proof, err := c.j.Engine.StopForSwitch(ctx, c.Epoch, c.old.Server, c.it.slot())
	if err != nil {
		return err
	}
	if control.State != engine.ShutDown {
		return workflow.Abort("%s did not end as a leader does (its control file says %q), so the end of its WAL is not certain", c.old.Database.Name, control.State)
	}
	c.facts.ShutdownLSN, c.facts.OldTimeline = &control.CheckpointLSN, &control.Timeline
	c.proof = proof
	c.Detail("%s", c.describeEnded())
	return nil
}

// markOldFencedAgain repeats the mark in an attempt that began inside the
// outage; in the attempt that set it, it costs a look at a file.
func (c *changeover) markOldFencedAgain(ctx context.Context) error {
	status, err := c.j.Engine.Status(ctx, c.old.Server)
	if err != nil {
		return err
	}
	if c.old.Server.Fenced && status.StandbySignal {
		return nil
	}
	return c.markOldFenced(ctx)
}

// countEnded notes what the stop is about to end; a count is not worth a failed switch.
func (c *changeover) countEnded(ctx context.Context) {
	if c.leaderConn == nil || c.facts.SessionsEnded != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if sessions, transactions, err := postgres.Sessions(ctx, c.leaderConn); err == nil {
		c.facts.SessionsEnded, c.facts.TransactionsEnded = &sessions, &transactions
	}
}

func (c *changeover) describeEnded() string {
	if c.facts.SessionsEnded == nil {
		return "Every session was ended"
	}
	return fmt.Sprintf("%d sessions ended, %d open transactions rolled back", *c.facts.SessionsEnded, *c.facts.TransactionsEnded)
}

// waitUntilZeroBehind waits until the candidate has replayed past the shutdown
// checkpoint: that record, never a count, is zero lag. Then nothing of the old
// leader may be left.
func (c *changeover) waitUntilZeroBehind(ctx context.Context) error {
	if c.proof == nil || c.facts.ShutdownLSN == nil {
		if err := c.fenceWrites(ctx); err != nil { // an attempt that began here reads it again
			return err
		}
	}
	noted := make(chan error, 1)
	go func() { noted <- c.noteShutdown(ctx) }()
	candidate, err := c.candidateConn(ctx)
	if err == nil {
		err = postgres.ReplayedPast(ctx, candidate, *c.facts.ShutdownLSN, func(left int64) {
			c.Detail("%s behind", platform.Bytes(left))
		})
	}
	if notedErr := <-noted; notedErr != nil {
		return notedErr
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
		return fmt.Errorf("%s could not be proven fenced: pg_controldata says %s at %s", c.old.Database.Name, control.State, control.CheckpointLSN)
	}
	c.Detail("Replayed past %s, the last record of %s", *c.facts.ShutdownLSN, c.old.Database.Name)
	return nil
}

// noteShutdown writes the end of the old timeline down without waiting for the
// disk: the record of the point of no return, which comes next, carries it there.
func (c *changeover) noteShutdown(ctx context.Context) error {
	return c.InRelaxedTx(ctx, func(tx pgx.Tx) error {
		return db.SaveSwitch(ctx, tx, db.Changeover{OperationID: c.Operation.ID, ShutdownLSN: c.facts.ShutdownLSN, OldTimeline: c.facts.OldTimeline,
			SessionsEnded: c.facts.SessionsEnded, TransactionsEnded: c.facts.TransactionsEnded})
	})
}

// unfollow promotes the candidate. The point of no return is on record; still
// nothing is promoted unless the old leader is proven fenced at this moment: an
// attempt that lost the control database may have let writes through again.
func (c *changeover) unfollow(ctx context.Context) error {
	candidate, err := c.candidateConn(ctx)
	if err != nil {
		return err
	}
	inRecovery, err := postgres.InRecovery(ctx, candidate)
	if err != nil {
		return c.lost(err)
	}
	fenced := false
	if c.facts.ShutdownLSN != nil {
		if fenced, err = c.isFencedFor(ctx, *c.facts.ShutdownLSN); err != nil {
			return err
		}
	}
	switch {
	case !fenced && !inRecovery:
		return fmt.Errorf("%s is promoted, but %s is not fenced as it was noted: nothing further is done until a person has looked at both", c.it.Database.Name, c.old.Database.Name)
	case !fenced:
		c.proof = nil
		if err := c.waitUntilZeroBehind(ctx); err != nil {
			return err
		}
	}
	if inRecovery {
		if err := c.j.Engine.Promote(ctx, c.Epoch, c.it.Server); err != nil {
			return err
		}
		if err := postgres.WaitWritable(ctx, candidate); err != nil {
			return c.lost(err)
		}
	}
	c.Detail("%s is writable for good", c.it.Database.Name)
	return nil
}

func (c *changeover) checkWritable(ctx context.Context) error {
	candidate, err := c.candidateConn(ctx)
	if err != nil {
		return err
	}
	if err := postgres.WriteOnce(ctx, candidate); err != nil {
		return c.lost(err)
	}
	c.Detail("select pg_is_in_recovery() is false, a write is accepted")
	return nil
}

// promote points the app at the new leader. The transaction does not wait for
// the disk: after a crash the step runs again.
func (c *changeover) promote(ctx context.Context) error {
	err := c.InRelaxedTx(ctx, func(tx pgx.Tx) error {
		release, err := c.takeOver(ctx, tx)
		if err != nil {
			return err
		}
		if release > 0 {
			c.facts.ReleaseNumber = &release
			c.Detail("Release v%d of %s", release, c.app.Name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if c.probe != nil {
		if err := c.awaitWrite(ctx, c.it, 5*time.Second); err != nil {
			return fmt.Errorf("no write through the new DATABASE_URL was accepted within 5 s: %w", err)
		}
	}
	return nil
}

// takeOver swaps the roles of the two databases in the control database.
func (c *changeover) takeOver(ctx context.Context, tx pgx.Tx) (release int, err error) {
	if err := db.SetDatabaseUnfollowed(ctx, tx, c.it.Database.ID); err != nil {
		return 0, err
	}
	if err := db.SetServerLeader(ctx, tx, c.it.Server.ID, nil); err != nil {
		return 0, err
	}
	if err := db.SetDatabaseFenced(ctx, tx, c.old.Database.ID, true); err != nil {
		return 0, err
	}
	if err := db.SetDatabaseReplacedBy(ctx, tx, c.old.Database.ID, &c.it.Database.ID); err != nil {
		return 0, err
	}
	primary, ok, err := db.PrimaryAttachment(ctx, tx, c.app.ID)
	if err != nil || !ok || primary.DatabaseID != c.old.Database.ID {
		return 0, err // the old leader was not this app's DATABASE_URL: nothing to move
	}
	promoted, err := db.PromoteAttachment(ctx, tx, db.Promotion{AppID: c.app.ID, DatabaseID: c.it.Database.ID, Actor: c.Operation.RequestedBy, OperationID: &c.Operation.ID})
	return promoted.Release.Number, err
}

// prove compares the end of the old timeline, read from the old leader's files,
// with the point at which the new one begins, read from the new leader.
func (c *changeover) prove(ctx context.Context) error {
	facts := db.Changeover{OperationID: c.Operation.ID}
	candidate, err := c.candidateConn(ctx)
	if err != nil {
		return err
	}
	timeline, fork, err := postgres.ForkPoint(ctx, candidate)
	if err != nil {
		return c.lost(err)
	}
	status, err := c.j.Engine.Status(ctx, c.old.Server)
	if err != nil {
		return err
	}
	end, err := c.j.Engine.EndOfWAL(ctx, c.old.Server, status.Control)
	if err != nil {
		return fmt.Errorf("read the end of the old leader's WAL: %w", err)
	}
	facts.ForkLSN, facts.NewTimeline, facts.OldEndLSN = &fork, &timeline, &end
	if err := postgres.ResetCandidate(ctx, candidate); err != nil {
		return c.lost(err)
	}
	c.measure(&facts)
	if err := c.InTx(ctx, func(tx pgx.Tx) error {
		if c.facts.ReleaseNumber != nil {
			facts.ReleaseNumber = c.facts.ReleaseNumber
		}
		return db.SaveSwitch(ctx, tx, facts)
	}); err != nil {
		return err
	}
	if end != fork {
		return fmt.Errorf("the old leader's WAL ends at %s but the new timeline begins at %s: a person must compare both before the old leader is destroyed", end, fork)
	}
	c.Detail("The old timeline ends at %s and the new one begins at %s", end, fork)
	return nil
}

// measure fills in the outage: what the probe saw, or, in an attempt that began
// inside the outage, from the start of the fence that is on record until the
// step that saw a write accepted.
func (c *changeover) measure(facts *db.Changeover) {
	if c.probe != nil {
		seen := c.probe.Stop()
		c.probe = nil
		if !seen.RefusedAt.IsZero() && !seen.AcceptedAt.IsZero() {
			facts.RefusedAt, facts.AcceptedAt, facts.OutageMS = &seen.RefusedAt, &seen.AcceptedAt, milliseconds(seen.Duration())
			return
		}
	}
	from, until := c.StartedAt("fence_writes"), c.FinishedAt("promote")
	if from != nil && until != nil {
		facts.RefusedAt, facts.AcceptedAt, facts.OutageMS = from, until, milliseconds(until.Sub(*from))
	}
}

func milliseconds(d time.Duration) *float64 {
	ms := float64(d.Microseconds()) / 1000
	return &ms
}

// awaitWrite points the probe at a database's URL and waits for the first write
// that is accepted there.
func (c *changeover) awaitWrite(ctx context.Context, at place, limit time.Duration) error {
	url, err := c.j.url(ctx, c.j.Pool, at)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c.probe.SetTarget(url)
	return c.probe.WaitAccepted(ctx)
}

// openOldLeader lets the old leader write again: only after the candidate is
// proven in recovery with no promotion asked for (safety 2).
func (c *changeover) openOldLeader(ctx context.Context) error {
	status, err := c.j.Engine.Status(ctx, c.old.Server)
	if err != nil {
		return err
	}
	if !c.old.Server.Fenced && !status.StandbySignal && status.Running {
		return c.resetCandidate(ctx) // it was never marked, or is open again
	}
	inRecovery, err := c.j.Engine.WithdrawPromotion(ctx, c.Epoch, c.it.Server)
	if err != nil {
		return fmt.Errorf("prove that %s is not promoted: %w", c.it.Database.Name, err)
	}
	if !inRecovery {
		return fmt.Errorf("%s has left recovery, so %s stays fenced; a person must look at both", c.it.Database.Name, c.old.Database.Name)
	}
	if err := c.j.Engine.Unfence(ctx, c.Epoch, c.old.Server); err != nil {
		return err
	}
	c.old.Server.Fenced = false
	if err := c.j.Engine.Start(ctx, c.Epoch, c.old.Server); err != nil {
		return err
	}
	facts := db.Changeover{OperationID: c.Operation.ID}
	if c.probe != nil && c.awaitWrite(ctx, c.old, 2*time.Second) == nil {
		c.measure(&facts)
	}
	if err := c.InTx(ctx, func(tx pgx.Tx) error {
		if err := db.SaveSwitch(ctx, tx, facts); err != nil {
			return err
		}
		return markServer(ctx, tx, c.old, false, platform.ServerRunning)
	}); err != nil {
		c.old.Server.Fenced = true // so that the next try writes it down
		return err
	}
	c.proof = nil
	return c.resetCandidate(ctx)
}

// resetCandidate takes back what prepareSwitch set on the candidate. A candidate
// that does not answer must not keep the old leader's undo from ending.
func (c *changeover) resetCandidate(ctx context.Context) error {
	candidate, err := c.candidateConn(ctx)
	if err == nil {
		err = postgres.ResetCandidate(ctx, candidate)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		c.Log.Warn("the candidate's settings were not reset", "error", c.lost(err))
	}
	return nil
}
