package jobs

import (
	"context"
	"errors"
	"slices"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	readTimeout   = 5 * time.Second // of the facts: the size of a large database takes a while
	sampleTimeout = 2 * time.Second
	reconnectMost = 2 * time.Second // pause between two tries to connect
)

// reader reads one server on connections that it keeps.
type reader struct {
	monitor    *Monitor
	databaseID int64
	config     *pgx.ConnConfig
	poke       chan struct{} // a sample failed: look at the facts at once
	told       *db.LimitsTold
	cleared    bool // nothing that refuses growth is left in a database that is not full
}

// kept is a connection that is opened when needed and dropped after an error.
type kept struct {
	config *pgx.ConnConfig
	conn   *pgx.Conn
	failed int // tries in a row
}

// use runs fn on the connection, within the time.
func (k *kept) use(ctx context.Context, within time.Duration, fn func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if k.conn == nil || k.conn.IsClosed() {
		conn, err := pgx.ConnectConfig(ctx, k.config)
		if err != nil {
			k.failed++
			return err
		}
		k.conn = conn
	}
	if err := fn(ctx, k.conn); err != nil {
		k.failed++
		k.close()
		return err
	}
	k.failed = 0
	return nil
}

func (k *kept) close() {
	if k.conn != nil {
		closeSoon(k.conn)
		k.conn = nil
	}
}

// backoff is how long to wait before the next try, at most reconnectMost.
func (k *kept) backoff(first time.Duration) time.Duration {
	return min(first<<min(k.failed, 6), reconnectMost)
}

// samples reads the server's position at each period until ctx ends.
func (r *reader) samples(ctx context.Context) {
	k := &kept{config: r.config}
	defer k.close()
	every := r.monitor.SampleEvery
	for ctx.Err() == nil {
		var position postgres.Position
		var otherRole error // such as a fenced leader: it answers, its position says nothing
		err := k.use(ctx, sampleTimeout, func(ctx context.Context, conn *pgx.Conn) (err error) {
			position, err = r.monitor.position(ctx, r.databaseID, conn)
			if errors.Is(err, postgres.ErrInRecovery) || errors.Is(err, postgres.ErrNotInRecovery) {
				otherRole, err = err, nil
			}
			return err
		})
		if ctx.Err() != nil {
			return
		}
		r.monitor.note(r.databaseID, time.Now(), position, errors.Join(err, otherRole))
		wait := every
		if err != nil {
			wait = max(every, k.backoff(100*time.Millisecond))
			select {
			case r.poke <- struct{}{}:
			default:
			}
		}
		now := time.Now()
		if !sleep(ctx, now.Add(wait).Truncate(every).Sub(now), nil) {
			return
		}
	}
}

// facts reads the server's figures at each period until ctx ends.
func (r *reader) facts(ctx context.Context) {
	k := &kept{config: r.config}
	defer k.close()
	var before postgres.Facts
	var beforeAt, toldAt time.Time
	var told string
	for ctx.Err() == nil {
		var facts postgres.Facts
		err := k.use(ctx, readTimeout, func(ctx context.Context, conn *pgx.Conn) (err error) {
			if facts, err = postgres.ReadFacts(ctx, conn); err != nil {
				return err
			}
			return r.monitor.readSlots(ctx, r.databaseID, conn)
		})
		if ctx.Err() != nil {
			return
		}
		now, wait := time.Now(), r.monitor.FactsEvery
		if err == nil {
			err = db.SetFacts(ctx, r.monitor.Pool, r.rates(facts, before, now.Sub(beforeAt)))
			before, beforeAt, told = facts, now, ""
			if err != nil {
				r.monitor.Log.Warn("facts were not recorded", "database", r.databaseID, "error", err)
			} else if err := r.watchLimits(ctx, facts); err != nil && ctx.Err() == nil {
				r.monitor.Log.Warn("the plan's limits could not be kept; it is tried again", "database", r.databaseID, "error", err)
			}
		} else {
			wait = k.backoff(250 * time.Millisecond)
			if problem := problemOf(err); problem != told || now.Sub(toldAt) > r.monitor.FactsEvery {
				if err := db.SetUnanswered(ctx, r.monitor.Pool, r.databaseID, problem); err == nil {
					told, toldAt = problem, now
				}
			}
		}
		poke := r.poke
		if err != nil {
			poke = nil // it is known already
		}
		if !sleep(ctx, wait, poke) {
			return
		}
	}
}

// rates turns two readings into one with rates a second; no rate after a pause
// so long that it would say nothing, or when the counters went backwards.
func (r *reader) rates(f, before postgres.Facts, since time.Duration) db.Facts {
	facts := db.Facts{DatabaseID: r.databaseID, DataBytes: f.DataBytes, Tables: f.Tables, Connections: f.Connections,
		Version: f.Version, InRecovery: f.InRecovery, Problem: r.monitor.followerProblem(r.databaseID)}
	if before.Version == "" || since <= 0 || since > time.Minute || f.Transactions < before.Transactions || f.LSN < before.LSN {
		return facts
	}
	facts.CommitsPerS = float64(f.Transactions-before.Transactions) / since.Seconds()
	facts.WALBytesPerS = float64(f.LSN.Minus(before.LSN)) / since.Seconds()
	return facts
}

// readSlots notes which slots of a leader have lost their WAL.
func (m *Monitor) readSlots(ctx context.Context, databaseID int64, conn *pgx.Conn) error {
	lost, err := postgres.LostSlots(ctx, conn)
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.watched[databaseID]; w != nil && err == nil {
		w.lostSlots = lost
	}
	return err
}

// followerProblem says what keeps a follower that answers from following; empty
// for one that follows, and for a leader.
func (m *Monitor) followerProblem(databaseID int64) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.watched[databaseID]
	if w == nil || w.leaderServerID == 0 || !w.lag.Known {
		return ""
	}
	leader := m.watched[*w.Database.FollowingID]
	switch {
	case leader != nil && slices.Contains(leader.lostSlots, slotName(w.Server.ID)):
		return "Its leader no longer has the WAL that it needs. It must be re-created."
	case w.position.ReplayPaused:
		return "Its replay is paused. Run select pg_wal_replay_resume() on it as superuser."
	case !w.position.Streaming:
		return "It receives nothing from its leader. If that does not end within a minute, re-create it."
	}
	return ""
}

// problemOf says in a sentence why a server did not answer. Of an error only
// the server's own words are shown: the rest may name addresses.
func problemOf(err error) string {
	var said *pgconn.PgError
	switch {
	case errors.As(err, &said):
		return "PostgreSQL says: " + said.Message + "."
	case errors.Is(err, context.DeadlineExceeded):
		return "It does not answer within 5 seconds."
	}
	return "It takes no connections; it may be stopped or starting."
}

// sleep waits for d or for poke; false means that ctx ended.
func sleep(ctx context.Context, d time.Duration, poke <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-poke:
	}
	return true
}
