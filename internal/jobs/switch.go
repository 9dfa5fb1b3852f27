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

// switcher is the planned switch from an old leader to a candidate that streams
// from it, in the order of safety 2: what a changeover, an upgrade and a switch
// back have in common. Facts that a later step needs are in the control
// database; what is here can be had again.
type switcher struct {
	*followerMaker // the candidate, and how it is made where it is new
	old            place
	facts          db.Changeover
	// slots are made on the candidate before, for the servers that follow it
	// afterwards. In a changeover other followers do not move by themselves (spec 3b).
	slots []string
	// takeOver puts the candidate in the old leader's place in the control
	// database, in the transaction given, and returns the release of the app.
	takeOver func(context.Context, pgx.Tx) (release int, err error)
	// movingPools are the connection pools that go with the switch.
	movingPools func(context.Context) ([]db.Pool, error)
	// accepts is the name of the step that does so: it sees the first write accepted.
	accepts string

	warming    *warming  // how far the candidate is read into memory; nil when that is not going on
	leaderConn *pgx.Conn // both opened before the outage, so that they cost nothing inside
	candidate  *pgx.Conn
	proof      engine.Proof // pg_controldata's word on the old leader, under way since the stop
	replayed   platform.LSN // the candidate was seen to be past this end of the old timeline
	probe      *postgres.Probe
	seen       postgres.Outage // what the probe saw, once it has stopped
	moving     []engine.Pool   // the connection pools that go with the switch; nil before they were read
	heldSince  time.Time       // the pools' clients wait since then; zero in an attempt that began later
	held       bool            // they wait, as far as is known
	before     heldBefore      // what is known of the hold of an earlier attempt
	unled      bool            // one of them did not answer when all were led to the new leader
	late       <-chan struct{} // closed when nothing is asked of pools from the side any more; nil: nothing is
	guardian   Guardian        // lets them go on when this program dies; nil: nobody does
}

func (c *switcher) close() {
	for _, conn := range []*pgx.Conn{c.leaderConn, c.candidate} {
		if conn != nil {
			closeSoon(conn)
		}
	}
	if c.probe != nil {
		c.probe.Stop()
	}
	c.settle()
	if c.guardian != nil && c.held {
		c.guardian.Abandon() // whoever goes on has its own
	} else {
		c.dismiss()
	}
}

// prepareTimes is how many times the deadline of the outage the preparation may
// take: in a changeover the app is in maintenance mode meanwhile, and a server
// that hangs answers no checkpoint.
const prepareTimes = 10

// leastPreparation is what the preparation may take in any case.
const leastPreparation = 5 * time.Second

// prepareDeadline bounds the preparation of a switch with that deadline; 0 is none.
func prepareDeadline(deadline time.Duration) time.Duration {
	if deadline == 0 {
		return 0
	}
	return max(prepareTimes*deadline, leastPreparation)
}

// prepareSwitch does all that the outage would otherwise have to wait for, and
// marks the old leader: from here on, whoever starts it starts it in recovery.
func (c *switcher) prepareSwitch(ctx context.Context) error {
	status, err := c.j.Engine.Status(ctx, c.old.Server)
	if err != nil {
		return err
	}
	if !status.Running { // it crashed: the app gets it back first, whatever becomes of the switch
		if err := c.openOldLeader(ctx); err != nil {
			return err
		}
	}
	if err := c.makeReady(ctx, postgres.Preparation{Slots: c.slots}); err != nil {
		return err
	}
	if err := c.markOldFenced(ctx); err != nil {
		return err
	}
	c.guarded(ctx)
	c.Detail("Checkpoints done, %s marked as fenced", c.old.name())
	return nil
}

// makeReady changes nothing that the app would notice.
func (c *switcher) makeReady(ctx context.Context, p postgres.Preparation) error {
	c.arm(ctx) // it needs a moment to look at the machine, half a second on a busy one
	candidate, err := c.candidateConn(ctx)
	if err != nil {
		return err
	}
	if c.leaderConn, err = c.j.connect(ctx, c.old); err != nil {
		return err
	}
	facts, err := postgres.ReadFacts(ctx, c.leaderConn)
	if err != nil {
		return err
	}
	if facts.Connections > c.it.Plan.Connections {
		return workflow.Abort("%d connections are in use and %s takes %d. Close %d of them, or choose a larger plan.", facts.Connections, c.it.Plan.Name, c.it.Plan.Connections, facts.Connections-c.it.Plan.Connections)
	}
	if _, err := postgres.PrepareCandidate(ctx, c.leaderConn, candidate, p); err != nil {
		return c.lost(err)
	}
	if err := c.j.Engine.LetPoolsIn(ctx, c.it.Server, c.it.Database.DatabaseName, c.it.Database.RoleName); err != nil {
		return err
	}
	if err := c.j.Engine.PrepareStop(ctx, c.old.Server); err != nil {
		return err
	}
	return c.armProbe(ctx)
}

// candidateConn is the admin connection to the candidate, kept open. A candidate
// that crashed is started: it is claimed, so nobody else does, and after the
// point of no return there is no way but on.
func (c *switcher) candidateConn(ctx context.Context) (*pgx.Conn, error) {
	if c.candidate != nil && !c.candidate.IsClosed() {
		return c.candidate, nil
	}
	if err := c.j.revive(ctx, c.Epoch, c.it); err != nil {
		return nil, err
	}
	conn, err := c.j.connect(ctx, c.it)
	c.candidate = conn
	return conn, err
}

// lost drops the kept connection after an error on it; the next try opens another.
func (c *switcher) lost(err error) error {
	if c.candidate != nil && err != nil {
		closeSoon(c.candidate)
		c.candidate = nil
	}
	return err
}

// replayTry bounds one wait for the candidate after the point of no return. There
// is no deadline then, and only a step that ends is told of and tried again.
const replayTry = 10 * time.Second

// unfollow promotes the candidate. The point of no return is on record; still
// nothing is promoted unless the old leader is proven fenced at this moment: an
// attempt that lost the control database may have let writes through again.
func (c *switcher) unfollow(ctx context.Context) error {
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
	case fenced && inRecovery && c.replayed != *c.facts.ShutdownLSN:
		// The end that is on record may be that of a second fence, which this attempt,
		// or one before it, has not seen the candidate come past.
		bounded, cancel := context.WithTimeout(ctx, replayTry)
		err := c.awaitReplay(bounded, candidate)
		cancel()
		if errors.Is(err, postgres.ErrNeverComes) {
			err = c.fenceAnew(ctx) // opened once more, the old leader can send it
		}
		if err != nil {
			return c.lost(err)
		}
		if candidate, err = c.candidateConn(ctx); err != nil {
			return err
		}
	case !fenced && !inRecovery:
		return fmt.Errorf("%s is promoted, but %s is not fenced as it was noted: nothing further is done until a person has looked at both", c.it.name(), c.old.name())
	case !fenced:
		if err := c.fenceAnew(ctx); err != nil {
			return err
		}
		if candidate, err = c.candidateConn(ctx); err != nil {
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
	c.Detail("%s is writable for good", c.it.name())
	return nil
}

func (c *switcher) checkWritable(ctx context.Context) error {
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
func (c *switcher) promote(ctx context.Context) error {
	err := c.InRelaxedTx(ctx, func(tx pgx.Tx) error {
		release, err := c.takeOver(ctx, tx)
		if err != nil {
			return err
		}
		if release > 0 {
			c.facts.ReleaseNumber = &release
			c.Detail("Release v%d of %s", release, c.old.Database.AppName)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if c.probe != nil {
		if err := c.awaitWrite(ctx, c.it, 5*time.Second); err != nil {
			return fmt.Errorf("no write through the new URL was accepted within 5 s: %w", err)
		}
	}
	return nil
}
