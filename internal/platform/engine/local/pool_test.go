package local_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/platform/engine"
	"changeover/internal/platform/platformtest"
	"changeover/internal/platform/pool"

	"github.com/jackc/pgx/v5"
)

// poolOf describes a pool in front of s, on a port of its own.
func poolOf(t *testing.T, p *platformtest.Platform, s *platformtest.Server) engine.Pool {
	t.Helper()
	if version, _ := p.Pooler(); version == "" {
		t.Skip("PgBouncer is not installed, so no pool can be tried")
	}
	reserved := p.NewServer(t, "standard-0")
	return engine.Pool{ID: reserved.ID, Port: reserved.Port, ServerPort: s.Port, Credentials: s.Credentials, Size: 5, Clients: 50}
}

// through is a connection of the app to the pool.
func through(t *testing.T, p *platformtest.Platform, pl engine.Pool, password string) (*pgx.Conn, error) {
	t.Helper()
	config, err := pgx.ParseConfig(platformtest.URL(p.Host(), pl.Port, pl.Credentials, password))
	if err != nil {
		t.Fatal(err)
	}
	// Without prepared statements, which not every PgBouncer keeps track of.
	config.DefaultQueryExecMode, config.ConnectTimeout = pgx.QueryExecModeSimpleProtocol, 10*time.Second
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
	return conn, err
}

func mustThrough(t *testing.T, p *platformtest.Platform, pl engine.Pool, s *platformtest.Server) *pgx.Conn {
	t.Helper()
	conn, err := through(t, p, pl, s.Password)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestMeasuredPool(t *testing.T) {
	p := platformtest.New(t)
	leader := p.Leader(t, "standard-0")
	pl := poolOf(t, p, leader)
	ctx := t.Context()
	if err := p.StartPool(ctx, platformtest.Epoch, pl); err != nil {
		t.Fatal(err)
	}
	conn := mustThrough(t, p, pl, leader)
	exec(t, conn, "create table t (n int)")

	t.Run("nobody else gets in", func(t *testing.T) {
		if _, err := through(t, p, pl, "another password"); err == nil {
			t.Error("a wrong password was let in")
		}
		plain, err := pgx.ParseConfig(strings.Replace(platformtest.URL(p.Host(), pl.Port, pl.Credentials, leader.Password), "sslmode=require", "sslmode=disable", 1))
		if err != nil {
			t.Fatal(err)
		}
		if c, err := pgx.ConnectConfig(ctx, plain); err == nil {
			_ = c.Close(ctx)
			t.Error("a connection without TLS was let in")
		}
		console := pl
		console.DatabaseName, console.RoleName = "pgbouncer", pool.AdminRole
		if _, err := through(t, p, console, ""); err == nil {
			t.Error("the console answers over the network")
		}
	})

	t.Run("no password and nothing readable by others in its files", func(t *testing.T) {
		files, err := filepath.Glob(filepath.Join(p.Home, "pools", "*", "*"))
		if err != nil || len(files) < 7 {
			t.Fatalf("%v %v", files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), leader.Password) || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s (%s) can be read by others, or holds the password", file, info.Mode())
			}
		}
	})

	t.Run("a pause holds clients and breaks nothing", func(t *testing.T) {
		if err := p.PausePool(ctx, platformtest.Epoch, pl, 500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if err := p.PausePool(ctx, platformtest.Epoch, pl, 500*time.Millisecond); err != nil {
			t.Errorf("a second pause: %v", err)
		}
		done := make(chan error, 1)
		go func() { _, err := conn.Exec(ctx, "insert into t values (1)"); done <- err }()
		platformtest.Await(t, "the waiting client", func() (bool, error) {
			use, err := p.UsePool(ctx, pl)
			return use.ClientsWaiting == 1 && use.Paused && use.ServersActive == 0, err
		})
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		if err := p.RoutePool(ctx, platformtest.Epoch, pl); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	t.Run("an open transaction is waited for no longer than the limit", func(t *testing.T) {
		other := mustThrough(t, p, pl, leader)
		exec(t, other, "begin")
		pids, err := p.PoolBackends(ctx, pl)
		if err != nil || len(pids) != 1 {
			t.Fatalf("backends %v, %v; want the one in a transaction", pids, err)
		}
		begin := time.Now()
		if err := p.PausePool(ctx, platformtest.Epoch, pl, 300*time.Millisecond); !errors.Is(err, pool.ErrBusy) {
			t.Fatalf("%v, want ErrBusy", err)
		}
		if took := time.Since(begin); took > 800*time.Millisecond {
			t.Errorf("given up after %s", took)
		}
		exec(t, conn, "insert into t values (2)") // goes through at once
		exec(t, other, "insert into t values (3)")
		exec(t, other, "commit")
	})

	t.Run("an older attempt is refused", func(t *testing.T) {
		if err := p.PausePool(ctx, platformtest.Epoch+4, pl, time.Second); err != nil {
			t.Fatal(err)
		}
		if err := p.RoutePool(ctx, platformtest.Epoch, pl); !errors.Is(err, engine.ErrStaleEpoch) {
			t.Errorf("resume: %v", err)
		}
		if err := p.StartPool(ctx, platformtest.Epoch, pl); !errors.Is(err, engine.ErrStaleEpoch) {
			t.Errorf("start: %v", err)
		}
		if err := p.RoutePool(ctx, platformtest.Epoch+4, pl); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("it leads to another server with the connections that it has", func(t *testing.T) {
		other := p.Follower(t, leader)
		if err := p.PausePool(ctx, platformtest.Epoch+5, pl, time.Second); err != nil {
			t.Fatal(err)
		}
		moved := pl
		moved.ServerPort = other.Port
		if err := p.RoutePool(ctx, platformtest.Epoch+5, moved); err != nil {
			t.Fatal(err)
		}
		var recovering bool
		if err := conn.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&recovering); err != nil || !recovering {
			t.Errorf("in recovery: %v, %v; want the follower", recovering, err)
		}
		if status, err := p.PoolStatus(moved); err != nil || !status.Running || status.ServerPort != other.Port {
			t.Errorf("%+v, %v", status, err)
		}
		if err := p.RoutePool(ctx, platformtest.Epoch+5, pl); err != nil {
			t.Fatal(err)
		}
		if err := conn.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&recovering); err != nil || recovering {
			t.Errorf("in recovery: %v, %v; want the leader", recovering, err)
		}
	})

	t.Run("a program that died before it could tell PgBouncer of another server", func(t *testing.T) {
		other := p.Follower(t, leader)
		mid := mustThrough(t, p, pl, leader)
		exec(t, mid, "select 1") // there is a connection to the leader
		link := filepath.Join(p.Home, "sock", fmt.Sprintf("p%d", pl.ID), pool.RouteSocket)
		if err := errors.Join(os.Remove(link), os.Symlink(fmt.Sprintf("../.s.PGSQL.%d", other.Port), link)); err != nil {
			t.Fatal(err)
		}
		moved := pl
		moved.ServerPort = other.Port
		if err := p.StartPool(ctx, platformtest.Epoch+5, moved); err != nil {
			t.Fatal(err)
		}
		var recovering bool
		if err := mid.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&recovering); err != nil || !recovering {
			t.Errorf("in recovery: %v, %v; want the follower", recovering, err)
		}
		if err := p.StartPool(ctx, platformtest.Epoch+5, pl); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("another plan's sizes count at once", func(t *testing.T) {
		larger := pl
		larger.Size, larger.Clients = 7, 70
		if err := p.StartPool(ctx, platformtest.Epoch+5, larger); err != nil {
			t.Fatal(err)
		}
		use, err := p.UsePool(ctx, larger)
		if err != nil || use.Size != 7 {
			t.Errorf("%+v, %v; want 7 connections to the server", use, err)
		}
		exec(t, conn, "select 1") // and nobody lost a connection
	})

	t.Run("killed, it is started again", func(t *testing.T) {
		pids, err := p.PoolProcesses(pl.ID)
		if err != nil || len(pids) != 1 {
			t.Fatalf("%v %v", pids, err)
		}
		signal(t, pids[0], syscall.SIGKILL)
		if err := p.RestartPool(ctx, platformtest.Epoch+5, pl); err != nil {
			t.Fatal(err)
		}
		exec(t, mustThrough(t, p, pl, leader), "insert into t values (4)")
	})

	t.Run("frozen, it is replaced", func(t *testing.T) {
		pids, err := p.PoolProcesses(pl.ID)
		if err != nil || len(pids) != 1 {
			t.Fatalf("%v %v", pids, err)
		}
		signal(t, pids[0], syscall.SIGSTOP)
		begin := time.Now()
		if err := p.StartPool(ctx, platformtest.Epoch+5, pl); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 4*time.Second {
			t.Errorf("it took %s", took)
		}
		exec(t, mustThrough(t, p, pl, leader), "insert into t values (5)")
	})

	t.Run("destroyed, nothing is left", func(t *testing.T) {
		if err := p.DestroyPool(ctx, platformtest.Epoch+6, pl.ID); err != nil {
			t.Fatal(err)
		}
		pids, err := p.PoolProcesses(pl.ID)
		if err != nil || len(pids) != 0 {
			t.Errorf("%v %v", pids, err)
		}
		if _, err := os.Stat(filepath.Join(p.Home, "pools", "2")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("its files: %v", err)
		}
		if err := p.DestroyPool(ctx, platformtest.Epoch+6, pl.ID); err != nil {
			t.Errorf("again: %v", err)
		}
	})
}
