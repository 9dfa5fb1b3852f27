package jobs

import (
	"context"
	"sync"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// forkCheckpointTimeout is how long a checkpoint of a fresh fork may take
// before it is asked for again.
const forkCheckpointTimeout = 30 * time.Minute

// readyForks asks each fresh fork for its first full checkpoint and says in the
// control database when it is complete: from then on it can be followed.
func (m *Monitor) readyForks(ctx context.Context, all *sync.WaitGroup) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, w := range m.watched {
		d := w.Database
		if d.ForkReady || d.IsFollower() || d.State != platform.DatabaseAvailable || m.readying[id] {
			continue
		}
		m.readying[id] = true
		config := m.Engine.Admin(engineServerOf(w.Server), d.DatabaseName)
		all.Go(func() {
			if err := m.readyFork(ctx, id, config); err != nil && ctx.Err() == nil {
				m.Log.Warn("a fresh fork is not ready yet; it is tried again", "database", d.Name, "error", err)
			}
			m.mu.Lock()
			delete(m.readying, id)
			m.mu.Unlock()
		})
	}
}

func (m *Monitor) readyFork(ctx context.Context, databaseID int64, config *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, forkCheckpointTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer closeSoon(conn)
	if inRecovery, err := postgres.InRecovery(ctx, conn); err != nil || inRecovery {
		return err // its promotion is still under way
	}
	if err := postgres.Checkpoint(ctx, conn); err != nil {
		return err
	}
	ready, err := postgres.CheckpointedSincePromotion(ctx, conn)
	if err != nil || !ready {
		return err
	}
	if err := db.SetDatabaseForkReady(ctx, m.Pool, databaseID, true); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if w := m.watched[databaseID]; w != nil {
		w.Database.ForkReady = true
	}
	return nil
}
