package jobs

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// prove compares the end of the old timeline, read from the old leader's files,
// with the point at which the new one begins, read from the new leader.
func (c *switcher) prove(ctx context.Context) error {
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
	facts.HeldMS, facts.HeldAtLeast = c.bestHeld()
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

// armProbe starts to write through the app's own URL, with a connection to the
// candidate opened beforehand so that no handshake is measured as an outage.
func (c *switcher) armProbe(ctx context.Context) error {
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
		return fmt.Errorf("%s takes no connection through its URL: %w", c.it.name(), err)
	}
	if err := probe.Start(ctx); err != nil {
		return fmt.Errorf("%s takes no write through its URL: %w", c.old.name(), err)
	}
	c.probe = probe
	return nil
}

// countEnded notes what the stop is about to end; a count is not worth a failed switch.
func (c *switcher) countEnded(ctx context.Context) {
	if c.leaderConn == nil || c.facts.SessionsEnded != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if sessions, transactions, err := postgres.Sessions(ctx, c.leaderConn); err == nil {
		c.facts.SessionsEnded, c.facts.TransactionsEnded = &sessions, &transactions
	}
}

func (c *switcher) describeEnded() string {
	if c.facts.SessionsEnded == nil {
		return "Every session was ended"
	}
	return fmt.Sprintf("%s ended, %s rolled back", counted(*c.facts.SessionsEnded, "session"), counted(*c.facts.TransactionsEnded, "open transaction"))
}

// awaitWrite points the probe at a database's URL and waits for the first write
// that is accepted there.
func (c *switcher) awaitWrite(ctx context.Context, at place, limit time.Duration) error {
	url, err := c.j.url(ctx, c.j.Pool, at)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c.probe.SetTarget(url)
	return c.probe.WaitAccepted(ctx)
}

// measure fills in the outage: what the probe saw, or, in an attempt that began
// inside the outage, from the start of the fence that is on record until the
// step that saw a write accepted.
func (c *switcher) measure(facts *db.Changeover) {
	if c.probe != nil {
		c.seen = c.probe.Stop() // kept, for the case that writing it down needs a second try
		c.probe = nil
	}
	if seen := c.seen; !seen.RefusedAt.IsZero() && !seen.AcceptedAt.IsZero() {
		facts.RefusedAt, facts.AcceptedAt, facts.OutageMS = &seen.RefusedAt, &seen.AcceptedAt, milliseconds(seen.Duration())
		return
	}
	from, until := c.StartedAt("fence_writes"), c.FinishedAt(c.accepts)
	if from != nil && until != nil {
		facts.RefusedAt, facts.AcceptedAt, facts.OutageMS = from, until, milliseconds(until.Sub(*from))
	}
}

func milliseconds(d time.Duration) *float64 {
	ms := float64(d.Microseconds()) / 1000
	return &ms
}

// counted is a number with its noun: "1 session", "2 sessions".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (c *switcher) refreshStatistics(ctx context.Context) error {
	return c.j.withConn(ctx, c.it, func(conn *pgx.Conn) error {
		if err := postgres.Analyze(ctx, conn, 10*time.Minute); err != nil {
			// The app works without; it is told and not tried for ever.
			c.Detail("ANALYZE did not finish: %v", err)
			return nil
		}
		c.Detail("ANALYZE is done")
		return nil
	})
}
