package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"changeover/bench/managed"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// pair is a leader and the follower that is its candidate.
type pair struct {
	house             *managed.House
	leader, candidate *managed.Server
	rows              int
	settings
}

const rowsPerMiB = 1024 * 1024 / 1040 // seven rows fill a page of 8 kB

func begin(ctx context.Context, house *managed.House, s settings) (*pair, error) {
	p := &pair{house: house, rows: s.mib * rowsPerMiB, settings: s}
	var err error
	if p.leader, err = house.Leader(ctx, "standard-2"); err != nil {
		return nil, err
	}
	fmt.Fprintf(s.logger, "filling the leader with %d MiB\n", s.mib)
	err = p.leader.Exec(ctx, "create table orders (id int primary key, body text not null)",
		fmt.Sprintf("insert into orders select i, repeat(md5(i::text), 30) from generate_series(1, %d) i", p.rows),
		"create table beside (id bigint generated always as identity primary key)",
		"grant all on orders, beside to app", "vacuum analyze")
	if err != nil {
		return nil, err
	}
	p.candidate, err = house.Follower(ctx, p.leader)
	return p, err
}

// measure makes one switch and reads on the new leader.
func (p *pair) measure(ctx context.Context, w way, r *measured) error {
	// Counters begin anew with each promotion; this is what the app does.
	if _, err := p.read(ctx, p.leader, 100*p.reads); err != nil {
		return err
	}
	if err := p.cool(ctx); err != nil {
		return err
	}
	if w.warm {
		if err := p.warm(ctx, r); err != nil {
			return err
		}
	}
	if w.buffers {
		// In the order of the index, which fills the buffers; in the table's own it would go past them.
		if err := p.candidate.Exec(ctx, "set enable_seqscan = off", "set enable_bitmapscan = off", "select sum(length(body)) from orders where id > 0"); err != nil {
			return err
		}
	}
	if err := p.house.Switch(ctx, p.leader, p.candidate); err != nil {
		return err
	}
	took, err := p.read(ctx, p.candidate, p.reads)
	if err != nil {
		return err
	}
	total := 0.0
	for _, ms := range took {
		total += ms
	}
	r.first, r.total = append(r.first, took[0]), append(r.total, total)
	r.median, r.p99 = append(r.median, median(took)), append(r.p99, quantile(took, 0.99))
	if err := p.house.FollowAgain(ctx, p.leader, p.candidate); err != nil {
		return err
	}
	p.leader, p.candidate = p.candidate, p.leader
	return nil
}

// read is so many reads by index at random, over a connection of the app's, in ms.
func (p *pair) read(ctx context.Context, s *managed.Server, n int) ([]float64, error) {
	conn, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx)) // and with it its counters are known
	took := make([]float64, n)
	for i := range took {
		began := time.Now()
		var length int
		if err := conn.QueryRow(ctx, "select length(body) from orders where id = $1", rand.IntN(p.rows)+1).Scan(&length); err != nil {
			return nil, err
		}
		took[i] = milliseconds(time.Since(began))
	}
	return took, nil
}

// cool empties the candidate's shared buffers by a restart, and puts its files
// out of the machine's memory.
func (p *pair) cool(ctx context.Context) error {
	if err := p.leader.Exec(ctx, "checkpoint"); err != nil {
		return err
	}
	if err := p.candidate.CatchUp(ctx, p.leader); err != nil {
		return err
	}
	if err := p.house.Stop(ctx, managed.Epoch, p.candidate.Server); err != nil {
		return err
	}
	if err := p.house.Start(ctx, managed.Epoch, p.candidate.Server); err != nil {
		return err
	}
	if err := p.candidate.CatchUp(ctx, p.leader); err != nil {
		return err
	}
	return filepath.WalkDir(filepath.Join(p.house.Dir(p.candidate.Server), "base"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // PostgreSQL has removed it meanwhile
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return errors.Join(file.Sync(), forget(file), file.Close())
	})
}

// warm does what the step of a switch does, beside an app that commits.
func (p *pair) warm(ctx context.Context, r *measured) error {
	conn, err := p.leader.Admin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	alone, err := p.commits(ctx, time.After(time.Second))
	if err != nil {
		return err
	}
	done := make(chan time.Time)
	failed := make(chan error, 1)
	go func() {
		defer close(done)
		failed <- p.readAhead(ctx, conn, r)
	}()
	beside, err := p.commits(ctx, done)
	r.alone, r.beside = append(r.alone, quantile(alone, 0.99)), append(r.beside, quantile(beside, 0.99))
	return errors.Join(err, <-failed)
}

func (p *pair) readAhead(ctx context.Context, conn *pgx.Conn, r *measured) error {
	began := time.Now()
	relations, err := postgres.RelationsUsed(ctx, conn)
	if err != nil {
		return err
	}
	parts, _, err := p.house.WorthWarming(p.candidate.Server, relations)
	if err != nil {
		return err
	}
	read := int64(0)
	for _, part := range parts {
		n, err := p.house.ReadPart(ctx, p.candidate.Server, part)
		if err != nil {
			return err
		}
		read += n
	}
	r.warmed, r.mib = append(r.warmed, milliseconds(time.Since(began))), float64(read)/(1<<20)
	return nil
}

// commits commits one row after the other until it is told, and says how long each took.
func (p *pair) commits(ctx context.Context, until <-chan time.Time) (took []float64, err error) {
	conn, err := pgx.Connect(ctx, p.leader.URL)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		select {
		case <-until:
			return took, nil
		default:
		}
		began := time.Now()
		if _, err := conn.Exec(ctx, "insert into beside default values"); err != nil {
			return nil, err
		}
		took = append(took, milliseconds(time.Since(began)))
	}
}
