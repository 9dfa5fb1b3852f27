package jobs_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/platformtest"
	"changeover/internal/platform/pool"

	"github.com/jackc/pgx/v5"
)

// deaf is an engine whose pools do not answer while away is set.
type deaf struct {
	it interface {
		Admin(s engine.Server, database string) *pgx.ConnConfig
		UsePool(ctx context.Context, p engine.Pool) (pool.Use, error)
	}
	away atomic.Bool
}

func (d *deaf) Admin(s engine.Server, database string) *pgx.ConnConfig {
	return d.it.Admin(s, database)
}

func (d *deaf) UsePool(ctx context.Context, p engine.Pool) (pool.Use, error) {
	if d.away.Load() {
		return pool.Use{}, errors.New("connection refused")
	}
	return d.it.UsePool(ctx, p)
}

// What goes on in a pool is read and kept; when it does not answer, since when,
// and no sample is made up.
func TestMeasuredMonitorReadsPools(t *testing.T) {
	h := newHouse(t)
	p := h.pooled(h.leader("standard-0"), 4)
	id := *p.attachment.PoolID
	d := &deaf{it: h.engine}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	m := jobs.NewMonitor(jobs.MonitorConfig{Pool: h.pool, Engine: d, Log: h.jobs.Log, PoolsEvery: 100 * time.Millisecond, PoolSampleEvery: 500 * time.Millisecond})
	go func() { m.Run(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })

	platformtest.Await(t, "the pool's clients are counted", func() (bool, error) {
		r, ok, err := db.PoolReadingOf(ctx, h.pool, id)
		return ok && r.Known() && r.ClientsActive+r.ClientsWaiting >= 4 && r.Size == 30 && r.ServersUsed > 0, err
	})
	began := time.Now()
	platformtest.Await(t, "samples with a wait", func() (bool, error) {
		samples, err := db.PoolSamples(ctx, h.pool, id, began, time.Now().Add(time.Second), 100)
		return len(samples) > 1 && samples[len(samples)-1].ClientsActive >= 1, err
	})
	d.away.Store(true)
	gone := time.Now()
	platformtest.Await(t, "it is away, since the first time", func() (bool, error) {
		r, _, err := db.PoolReadingOf(ctx, h.pool, id)
		return r.UnansweredSince != nil && r.UnansweredSince.Before(gone.Add(time.Second)) && r.ClientsActive > 0, err
	})
	none, err := db.PoolSamples(ctx, h.pool, id, gone.Add(time.Second), time.Now().Add(time.Second), 100)
	if err != nil || len(none) != 0 {
		t.Errorf("%d samples of a pool that does not answer (%v)", len(none), err)
	}
	d.away.Store(false)
	platformtest.Await(t, "it is back", func() (bool, error) {
		r, _, err := db.PoolReadingOf(ctx, h.pool, id)
		return r.Known(), err
	})
	p.close("after the monitor", true)
}
