package jobs

import (
	"context"
	"errors"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// seedWithin is how old a reading may be that a tracker begins with: an older
// one would make a follower that has long caught up look far behind.
const seedWithin = 10 * time.Minute

// position reads the position of a leader or of a follower, whichever it is now.
func (m *Monitor) position(ctx context.Context, databaseID int64, conn *pgx.Conn) (postgres.Position, error) {
	m.mu.Lock()
	w := m.watched[databaseID]
	follows := w != nil && w.leaderServerID != 0
	m.mu.Unlock()
	if follows {
		return postgres.FollowerPosition(ctx, conn)
	}
	p, err := postgres.LeaderPosition(ctx, conn)
	if errors.Is(err, postgres.ErrInRecovery) {
		// A fenced leader's WAL has come to its end, and its followers still
		// stream from it: they are behind what it has replayed.
		return postgres.FollowerPosition(ctx, conn)
	}
	return p, err
}

// note feeds a sample, or that there was none, to the leader's tracker.
func (m *Monitor) note(databaseID int64, at time.Time, p postgres.Position, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.watched[databaseID]
	switch {
	case w == nil:
	case w.leaderServerID != 0 && err == nil:
		w.position = p
		m.tracker(w.leaderServerID).Follower(databaseID, at, p)
	case w.leaderServerID != 0:
		m.tracker(w.leaderServerID).FollowerGone(databaseID)
	case err == nil:
		m.tracker(w.Server.ID).Leader(at, p)
	default:
		m.tracker(w.Server.ID).LeaderGone()
	}
}

func (m *Monitor) tracker(leaderServerID int64) *postgres.Tracker {
	t := m.trackers[leaderServerID]
	if t == nil {
		t = postgres.NewTracker(m.StaleAfter)
		m.trackers[leaderServerID] = t
	}
	return t
}

// seed tells the tracker what the follower's last reading was, so that a
// restart of the program does not make its lag in seconds begin at 0 again.
func (m *Monitor) seed(ctx context.Context, w *watched) {
	if w.leaderServerID == 0 {
		return
	}
	reading, err := db.ReadingOf(ctx, m.Pool, w.Database.ID)
	if err == nil && reading.Lag.Seconds >= 1 && time.Since(reading.Lag.At) < seedWithin {
		m.tracker(w.leaderServerID).Seed(w.Database.ID, reading.Lag)
	}
}

// publishDelay is left to the samples of a moment to arrive before the lag of
// that moment is worked out.
const publishDelay = 50 * time.Millisecond

// publishLag writes the lag of every follower to the control database, in one
// transaction, and once a second to the plot.
func (m *Monitor) publishLag(ctx context.Context) error {
	if !sleep(ctx, publishDelay, nil) {
		return nil
	}
	now := time.Now()
	var lags []db.FollowerLag
	m.mu.Lock()
	for id, w := range m.watched {
		if w.leaderServerID == 0 {
			continue
		}
		w.lag = m.tracker(w.leaderServerID).Lag(id, now)
		lags = append(lags, db.FollowerLag{DatabaseID: id, Lag: w.lag})
	}
	// A little less than a second, so that the ticks' jitter loses no sample.
	keep := len(lags) > 0 && now.Sub(m.lastKept) > 900*time.Millisecond
	if keep {
		m.lastKept = now
	}
	m.mu.Unlock()
	if len(lags) == 0 {
		return nil
	}
	return db.InTx(ctx, m.Pool, func(tx pgx.Tx) error {
		if err := db.SetLags(ctx, tx, lags); err != nil || !keep {
			return err
		}
		return db.AddLagSamples(ctx, tx, lags)
	})
}
