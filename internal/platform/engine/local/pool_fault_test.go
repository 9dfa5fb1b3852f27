package local_test

import (
	"syscall"
	"testing"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
)

func TestPoolOnATakenPort(t *testing.T) {
	p := platformtest.New(t)
	leader := p.Leader(t, "standard-0")
	pl := poolOf(t, p, leader)
	pl.Port = leader.Port
	if err := p.StartPool(t.Context(), platformtest.Epoch, pl); platform.KindOf(err) != platform.KindUnavailable {
		t.Errorf("%v", err)
	}
}

// A pause ends connections to the server that are still being opened, and
// PgBouncer takes that for a server which refuses: it would try again only after
// server_login_retry, and turn clients away until then.
func TestMeasuredPauseWhileAConnectionIsOpened(t *testing.T) {
	p := platformtest.New(t)
	leader := p.Leader(t, "standard-0")
	pl := poolOf(t, p, leader)
	ctx := t.Context()
	if err := p.StartPool(ctx, platformtest.Epoch, pl); err != nil {
		t.Fatal(err)
	}
	conn, other := mustThrough(t, p, pl, leader), mustThrough(t, p, pl, leader)
	exec(t, other, "begin") // the pool's only connection to the server
	postmaster := status(t, p, leader).PID
	signal(t, postmaster, syscall.SIGSTOP)
	frozen := true
	thaw := func() {
		if frozen {
			frozen = false
			signal(t, postmaster, syscall.SIGCONT)
		}
	}
	t.Cleanup(thaw)
	waiting := func(conn *pgx.Conn) chan error {
		done := make(chan error, 1)
		go func() { _, err := conn.Exec(ctx, "select 1"); done <- err }()
		return done
	}
	first := waiting(conn)
	platformtest.Await(t, "a connection that is being opened", func() (bool, error) {
		use, err := p.UsePool(ctx, pl)
		return use.ClientsWaiting == 1 && use.ServersActive == 1, err
	})
	exec(t, other, "commit")
	if err := p.PausePool(ctx, platformtest.Epoch, pl, 500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	second := waiting(other)
	thaw()
	begin := time.Now()
	if err := p.RoutePool(ctx, platformtest.Epoch, pl); err != nil {
		t.Fatal(err)
	}
	for _, done := range []chan error{first, second} {
		if err := <-done; err != nil {
			t.Errorf("a client was turned away: %v", err)
		}
	}
	if took := time.Since(begin); took > 400*time.Millisecond {
		t.Errorf("clients went on %s after they were let go", took)
	}
}
