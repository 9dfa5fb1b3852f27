package local_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"changeover/internal/platform/engine"
	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The control cluster is made once, found running, started after a crash, and
// StopAll ends it with the servers.
func TestControlCluster(t *testing.T) {
	p := platformtest.New(t)
	leader := p.Leader(t, "standard-0")
	open := func() *pgx.Conn {
		t.Helper()
		text, err := p.Control(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		config, err := pgxpool.ParseConfig(text)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.ConnectConfig(t.Context(), config.ConnConfig)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(t.Context()) })
		return conn
	}
	conn := open()
	exec(t, conn, "create table ours (id int); insert into ours values (1)")
	if got := platformtest.Query(t, conn, "select concat_ws(' ', current_database(), current_user, rolsuper, current_setting('listen_addresses'), current_setting('synchronous_commit'), current_setting('fsync'), current_setting('max_connections')) from pg_roles where rolname = current_user"); got != "changeover changeover f  on on 300" {
		t.Errorf("the control database: %q", got)
	}
	if info, err := os.Stat(filepath.Join(p.Home, "control", "ballast")); err != nil || info.Size() != 64<<20 || info.Sys().(*syscall.Stat_t).Blocks*512 < 64<<20 {
		t.Errorf("the ballast is %v, %v, want 64 MB of real blocks", info, err)
	}
	pid := number(strings.SplitN(read(t, filepath.Join(p.Home, "control", "data"), "postmaster.pid"), "\n", 2)[0])
	signal(t, pid, syscall.SIGKILL)
	conn = open()
	if got := platformtest.Query(t, conn, "select count(*)::text from ours"); got != "1" {
		t.Errorf("after the crash ours has %s rows, want 1", got)
	}
	open() // found running

	if failed := p.Adopt(t.Context(), []engine.Server{leader.Server}); len(failed) != 0 {
		t.Errorf("adopt of a running server: %v", failed)
	}
	if err := p.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status(t, p, leader).Running || exists(filepath.Join(p.Home, "control", "data", "postmaster.pid")) {
		t.Error("something runs after StopAll")
	}

	fenced := leader.Server
	fenced.Fenced = true
	missing := p.NewServer(t, "standard-0")
	failed := p.Adopt(t.Context(), []engine.Server{fenced, missing})
	if failed[fenced.ID] != nil || failed[missing.ID] == nil {
		t.Errorf("adopt: %v, want an error for the missing server only", failed)
	}
	if got := platformtest.Query(t, leader.Connect(t), "select pg_is_in_recovery()::text"); got != "true" {
		t.Error("a server with the fenced mark was adopted writable")
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
