package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
)

// What the pool's page says of prepared statements is true of the PgBouncer that
// is installed, and of a newer one where scripts/pgbouncer could fetch it: either
// nothing of them fails over a switch, or they do not work at all.
func TestPreparedStatementsThroughAPool(t *testing.T) {
	t.Parallel()
	t.Run("the system's PgBouncer", func(t *testing.T) { newHouse(t).tryPrepared() })
	path := platformtest.NewerPgBouncer(t)
	if path == "" {
		t.Log("no PgBouncer of 1.21 or later is beside the system's own; scripts/pgbouncer fetches one")
		return
	}
	t.Run("a newer PgBouncer", func(t *testing.T) {
		h := newHouse(t, func(h *house) { h.pgbouncer = path })
		if version, prepared := h.engine.Pooler(); !prepared {
			t.Fatalf("%s is PgBouncer %s, which has no prepared statements", path, version)
		}
		h.tryPrepared()
	})
}

// tryPrepared asks the same prepared statement through a pool before and after a
// switch, while clients that prepare theirs write.
func (h *house) tryPrepared() {
	t := h.t
	t.Helper()
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 2)
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	ask := func() error {
		var n int
		for range 50 {
			if err := conn.QueryRow(ctx, "plus", 20).Scan(&n); err != nil || n != 42 {
				return errors.Join(err, fmt.Errorf("answered %d", n))
			}
		}
		return nil
	}
	_, prepareErr := conn.Prepare(ctx, "plus", "select $1::int + 22")
	version, prepared := h.engine.Pooler()
	if !prepared {
		for range 6 { // one of them has the session in which it was prepared
			p.hold()
		}
		if prepareErr == nil && ask() == nil {
			t.Errorf("PgBouncer %s keeps prepared statements, and the page says that it does not", version)
		}
		p.close("without prepared statements", true)
		return
	}
	if prepareErr != nil {
		t.Fatal(prepareErr)
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	stop := p.writePrepared(3)
	op, err := h.jobs.StartChangeover(ctx, actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	h.ended(op, err, platform.OperationCompleted)
	stop()
	if err := ask(); err != nil {
		t.Errorf("after the switch: %v", err)
	}
	p.close("with prepared statements on PgBouncer "+version, true)
}

// writePrepared has clients write by a prepared statement, each on a connection
// that it never makes anew, until the function that it returns is called: that one
// fails the test where one of them saw an error, or a number is missing.
func (p *pooled) writePrepared(clients int) (stop func()) {
	t := p.h.t
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	setup := p.hold()
	if _, err := setup.Exec(ctx, "create table prepared (client int, n int, primary key (client, n)); commit"); err != nil {
		t.Fatal(err)
	}
	written, errs := make([]int, clients), make([]error, clients)
	var all sync.WaitGroup
	for client := range clients {
		conn, err := pgx.Connect(ctx, p.url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Prepare(ctx, "add", "insert into prepared values ($1, $2)"); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer func() { _ = conn.Close(context.Background()) }()
			for ctx.Err() == nil && errs[client] == nil {
				if _, errs[client] = conn.Exec(context.WithoutCancel(ctx), "add", client, written[client]+1); errs[client] == nil {
					written[client]++
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
		for client, n := range written {
			var found int
			err := setup.QueryRow(t.Context(), fmt.Sprintf("select count(*) from prepared where client = %d and n <= %d", client, n)).Scan(&found)
			if err = errors.Join(err, errs[client]); err != nil || found != n || n < 10 {
				t.Errorf("client %d wrote %d by a prepared statement, %d are there: %v", client, n, found, err)
			}
		}
		t.Logf("written by prepared statements over the switch: %v, 0 failed", written)
	}
}
