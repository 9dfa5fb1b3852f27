package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

func backendPID(t *testing.T, q Querier) int {
	t.Helper()
	var pid int
	check(t, q.QueryRow(t.Context(), "select pg_backend_pid()").Scan(&pid))
	return pid
}

func find(t *testing.T, q Querier, pid int) (platform.Backend, bool) {
	t.Helper()
	list, err := Activity(t.Context(), q)
	check(t, err)
	for _, b := range list {
		if b.PID == pid {
			return b, true
		}
	}
	return platform.Backend{}, false
}

func testActivity(t *testing.T, p *pair) {
	ctx := t.Context()
	leader, holder, waiter := p.leader.ConnectAdmin(t), p.leader.Connect(t), connectAs(t, p.leader, "sushi")
	run(t, holder, "begin", "lock t")
	holderPID, waiterPID := backendPID(t, holder), backendPID(t, waiter)

	ended := make(chan error, 1)
	long := "insert into t select 1 -- " + strings.Repeat("ü", 600)
	go func() { _, err := waiter.Exec(context.WithoutCancel(ctx), long); ended <- err }()
	eventually(t, "the writer waits", func() bool { b, _ := find(t, leader, waiterPID); return len(b.BlockedBy) > 0 })

	b, _ := find(t, leader, waiterPID)
	if b.BlockedBy[0] != holderPID || b.State != "active" || b.WaitEvent != "Lock: relation" || b.Source() != "sushi, 127.0.0.1, "+p.leader.RoleName ||
		b.RunningFor <= 0 || b.TransactionAge <= 0 || b.TransactionStartedAt == nil || len([]rune(b.Query)) != 500 || b.Type != "client backend" {
		t.Errorf("the waiting connection: %+v", b)
	}
	if b, _ := find(t, leader, holderPID); b.State != "idle in transaction" || b.WaitEvent != "" {
		t.Errorf("the holding connection: %+v", b)
	}
	sessions, transactions, err := Sessions(ctx, leader)
	if err != nil || sessions != 2 || transactions != 2 {
		t.Errorf("sessions, transactions = %d, %d, %v; want 2, 2", sessions, transactions, err)
	}

	check(t, Cancel(ctx, leader, waiterPID))
	if err := <-ended; !isCode(err, "57014") {
		t.Errorf("the cancelled statement ended with %v", err)
	}
	check(t, Terminate(ctx, leader, holderPID))
	eventually(t, "the terminated connection is gone", func() bool { _, found := find(t, leader, holderPID); return !found })

	for name, pid := range map[string]int{
		"one that ended": holderPID, "our own": backendPID(t, leader), "the checkpointer": checkpointer(t, leader),
		"another database's": backendPID(t, p.leader.ConnectAdmin(t, "postgres")),
	} {
		for _, signal := range []func(context.Context, Querier, int) error{Cancel, Terminate} {
			if err := signal(ctx, leader, pid); platform.KindOf(err) != platform.KindNotFound {
				t.Errorf("%s connection: %v, want not found", name, err)
			}
		}
	}
}

func checkpointer(t *testing.T, q Querier) (pid int) {
	t.Helper()
	check(t, q.QueryRow(t.Context(), "select pid from pg_stat_activity where backend_type = 'checkpointer'").Scan(&pid))
	return pid
}

func testSynchronousWait(t *testing.T, p *pair) {
	ctx := t.Context()
	leader, app := p.leader.ConnectAdmin(t), p.leader.Connect(t)
	pid := backendPID(t, app)
	run(t, app)
	check(t, alterSystem(ctx, leader, "synchronous_standby_names", "nobody", "alter system set synchronous_standby_names = 'nobody'"))
	defer func() {
		check(t, alterSystem(ctx, leader, "synchronous_standby_names", "", "alter system reset synchronous_standby_names"))
	}()
	ended := make(chan error, 1)
	go func() { _, err := app.Exec(context.WithoutCancel(ctx), "insert into t values (1)"); ended <- err }()
	eventually(t, "the commit waits for its standby", func() bool { b, _ := find(t, leader, pid); return strings.HasSuffix(b.WaitEvent, "SyncRep") })

	err := Cancel(ctx, leader, pid)
	if platform.KindOf(err) != platform.KindConflict {
		t.Errorf("cancel = %v, want a conflict", err)
	}
	select {
	case err := <-ended:
		t.Fatalf("the commit was acknowledged: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	check(t, Terminate(ctx, leader, pid))
	if err := <-ended; err == nil {
		t.Error("the terminated commit was acknowledged")
	}
}

func testReplayHeldUp(t *testing.T, p *pair) {
	ctx := t.Context()
	follower, app := p.follower.ConnectAdmin(t), p.leader.Connect(t)
	run(t, app, "insert into t select generate_series(1, 1000)")
	p.catchUp(t)

	snapshot := func(c *pgx.Conn) { run(t, c, "begin isolation level repeatable read", "select count(*) from t") }
	lock := func(c *pgx.Conn) { run(t, c, "begin", "select count(*) from t") }
	for _, test := range []struct {
		name  string
		hold  func(*pgx.Conn)
		cause string
	}{
		{"a snapshot that needs removed rows", snapshot, "delete from t where n > 500; "},
		{"a lock in the way of a table's change", lock, "alter table t add m int"},
	} {
		t.Run(test.name, func(t *testing.T) {
			reader := p.follower.Connect(t)
			bystander := p.follower.Connect(t) // idle: holds nothing up
			backendPID(t, bystander)
			test.hold(reader)
			if waits, _, err := ReplayHeldUp(ctx, follower, 0); err != nil || waits {
				t.Fatalf("held up before anything is in the way: %v, %v", waits, err)
			}
			run(t, app, test.cause)
			if test.cause[0] == 'd' {
				run(t, app, "vacuum t")
			}
			var by []platform.Backend
			eventually(t, "replay is held up", func() bool {
				waits, found, err := ReplayHeldUp(ctx, follower, 0)
				check(t, err)
				by = found
				return waits
			})
			if len(by) != 1 || by[0].PID != backendPID(t, reader) {
				t.Errorf("held up by %+v, want only the reader", by)
			}
			if _, by, _ := ReplayHeldUp(ctx, follower, time.Hour); len(by) != 0 {
				t.Errorf("none is an hour old, got %+v", by)
			}
			reader.Close(ctx)
			eventually(t, "replay goes on", func() bool { waits, _, err := ReplayHeldUp(ctx, follower, 0); return err == nil && !waits })
			p.catchUp(t)
		})
	}
}
