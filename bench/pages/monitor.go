package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changeover/internal/db"
	"changeover/internal/platform"
)

// How often the program's monitor writes.
const (
	lagEvery   = 500 * time.Millisecond
	factsEvery = 5 * time.Second
)

// monitor plays the part of the program's monitor for the databases that are
// rows only: the same statements at the same rate, until ctx ends. What it
// writes is told to the program, which cannot know where it came from.
func (h house) monitor(ctx context.Context, pool *pgxpool.Pool) error {
	failed := make(chan error, 2)
	go func() { failed <- h.publishLags(ctx, pool) }()
	go func() { failed <- h.publishFacts(ctx, pool) }()
	err := <-failed
	if err == nil {
		err = <-failed
	}
	return err
}

// publishLags writes the lag of all followers in one transaction, and each
// second the samples of the plot.
func (h house) publishLags(ctx context.Context, pool *pgxpool.Pool) error {
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	for n := int64(0); ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		lags := make([]db.FollowerLag, len(h.followers))
		for i, id := range h.followers {
			lags[i] = db.FollowerLag{DatabaseID: id, Lag: platform.Lag{At: time.Now(), Known: true, Commits: (n + id) % 40, Bytes: (n + id) % 40 * 700}}
		}
		err := db.InTx(ctx, pool, func(tx pgx.Tx) error {
			if err := db.SetLags(ctx, tx, lags); err != nil || n%2 == 1 {
				return err
			}
			return db.AddLagSamples(ctx, tx, lags)
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// publishFacts writes the facts of one database after the other, each of them
// once in factsEvery.
func (h house) publishFacts(ctx context.Context, pool *pgxpool.Pool) error {
	tick := time.NewTicker(factsEvery / time.Duration(len(h.databases)))
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := db.SetFacts(ctx, pool, db.Facts{
			DatabaseID: h.databases[n%len(h.databases)], DataBytes: int64(n%90) * 1e8, Tables: 40, Connections: n % 100, Version: "15.14",
			CommitsPerS: 20, WALBytesPerS: 1e5,
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}
