package jobs

import (
	"context"
	"sync"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/pool"

	"github.com/jackc/pgx/v5"
)

const (
	// poolTimeout is how long a pool's console may take; it needs a millisecond.
	poolTimeout = 2 * time.Second
	// poolsAtOnce is how many are asked at the same time.
	poolsAtOnce = 8
	// poolAway is for how long a pool may be unreachable before its page says so:
	// one that was just attached, or is being started again, is not away yet.
	poolAway = 3 * time.Second
)

// pooled is what is known here of one pool since its last sample.
type pooled struct {
	sample       db.PoolSample
	keptAt       time.Time
	transactions int64 // of the PgBouncer, at the last sample
	waited       time.Duration
	silentSince  time.Time // zero while it answers
}

// readPools looks at every pool, and keeps a sample of each for the plot.
func (m *Monitor) readPools(ctx context.Context) error {
	pools, err := db.Pools(ctx, m.Pool)
	if err != nil {
		return err
	}
	known := make(map[int64]*pooled, len(pools))
	free := make(chan struct{}, poolsAtOnce)
	errs := make(chan error, len(pools))
	var all sync.WaitGroup
	for _, p := range pools {
		if p.AttachmentID == nil {
			continue // detached: it is about to end
		}
		state := m.pooled[p.ID]
		if state == nil {
			state = &pooled{}
		}
		known[p.ID] = state
		all.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			errs <- m.readPool(ctx, p, state)
		})
	}
	all.Wait()
	close(errs)
	m.pooled = known
	for e := range errs {
		if e != nil {
			err = e
		}
	}
	return err
}

func (m *Monitor) readPool(ctx context.Context, p db.Pool, state *pooled) error {
	asked, cancel := context.WithTimeout(ctx, poolTimeout)
	defer cancel()
	use, err := m.Engine.UsePool(asked, engine.Pool{ID: p.ID, Port: p.Port, Credentials: engine.Credentials{DatabaseName: p.DatabaseName}})
	if ctx.Err() != nil {
		return nil
	}
	now := time.Now()
	if err != nil {
		if state.silentSince.IsZero() {
			state.silentSince = now
		}
		state.keptAt = time.Time{} // what it did before says nothing about what comes
		if now.Sub(state.silentSince) < poolAway {
			return nil
		}
		return db.SetPoolUnanswered(ctx, m.Pool, p.ID, state.silentSince, "Its PgBouncer does not answer. It is started again by itself.")
	}
	state.silentSince = time.Time{}
	reading := db.PoolReading{
		PoolID: p.ID, At: &now, ClientsActive: use.ClientsActive, ClientsWaiting: use.ClientsWaiting, ServersUsed: use.ServersActive + use.ServersIdle,
		Size: use.Size, LongestWaitMS: milli(use.LongestWait), Held: use.Paused,
	}
	if err := db.SetPoolReading(ctx, m.Pool, reading); err != nil {
		return err
	}
	state.note(use)
	if state.keptAt.IsZero() {
		state.begin(now, use)
		return nil
	}
	// A little less than the period, so that the ticks' jitter loses no sample.
	if now.Sub(state.keptAt) < m.PoolSampleEvery-m.PoolsEvery/2 {
		return nil
	}
	sample := state.sample
	sample.PoolID, sample.At = p.ID, now
	if n := use.Transactions - state.transactions; n > 0 && use.WaitTime >= state.waited {
		sample.AverageMS = milli(use.WaitTime-state.waited) / float64(n)
	}
	state.begin(now, use)
	return db.AddPoolSample(ctx, m.Pool, sample)
}

// note takes one look into the sample that is being put together.
func (s *pooled) note(use pool.Use) {
	s.sample.ClientsActive = max(s.sample.ClientsActive, use.ClientsActive)
	s.sample.ClientsWaiting = max(s.sample.ClientsWaiting, use.ClientsWaiting)
	s.sample.ServersUsed = max(s.sample.ServersUsed, use.ServersActive+use.ServersIdle)
	s.sample.WaitMS = max(s.sample.WaitMS, milli(use.LongestWait))
}

func (s *pooled) begin(now time.Time, use pool.Use) {
	s.sample, s.keptAt, s.transactions, s.waited = db.PoolSample{}, now, use.Transactions, use.WaitTime
}

func milli(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// monitorEngine is what the monitor needs of the engine.
type monitorEngine interface {
	Admin(s engine.Server, database string) *pgx.ConnConfig
	UsePool(ctx context.Context, p engine.Pool) (pool.Use, error)
}
