package local_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
)

// One shared cluster through its life: each part begins where the last one ended.
func TestSharedCluster(t *testing.T) {
	p := platformtest.New(t)
	cluster := p.Shared(t)
	mine, theirs := p.Member(t, cluster, "essential-0"), p.Member(t, cluster, "essential-2")
	exec(t, theirs.Connect(t), "create table secret (word text); insert into secret values ('theirs')")

	t.Run("apart", func(t *testing.T) { checkApart(t, mine, theirs) })
	t.Run("roles", func(t *testing.T) { checkRoles(t, mine) })
	t.Run("limits", func(t *testing.T) { checkSharedLimits(t, mine, theirs) })
	t.Run("not for one of them", func(t *testing.T) { checkNotForOne(t, p, cluster) })
	t.Run("many", func(t *testing.T) { checkMany(t, p, cluster) })
	t.Run("killed", func(t *testing.T) { killShared(t, p, cluster, mine, theirs) })
	t.Run("epochs", func(t *testing.T) {
		ctx := t.Context()
		if err := p.DropDatabase(ctx, 9, cluster.Server, mine.DatabaseName, mine.RoleName); err != nil {
			t.Fatal(err)
		}
		err := p.CreateDatabase(ctx, 8, cluster.Server, engine.SharedDatabase{Credentials: mine.Credentials})
		if !errors.Is(err, engine.ErrStaleEpoch) {
			t.Errorf("an overtaken attempt made it again: %v", err)
		}
		// Its neighbour's attempts have epochs of their own.
		if err := p.CreateDatabase(ctx, 2, cluster.Server, engine.SharedDatabase{Credentials: theirs.Credentials, Connections: 40}); err != nil {
			t.Error(err)
		}
	})
	t.Run("dropped", func(t *testing.T) { checkDropped(t, p, cluster, mine, theirs) })
}

// checkApart tries everything that mine's role could think of against theirs.
func checkApart(t *testing.T, mine, theirs *platformtest.Server) {
	into := func(what string, change func(*pgx.ConnConfig)) {
		config, err := pgx.ParseConfig(mine.URL)
		if err != nil {
			t.Fatal(err)
		}
		change(config)
		if conn, err := pgx.ConnectConfig(t.Context(), config); err == nil {
			_ = conn.Close(t.Context())
			t.Errorf("let in: %s", what)
		}
	}
	into("my role into their database", func(c *pgx.ConnConfig) { c.Database = theirs.DatabaseName })
	into("my role into postgres", func(c *pgx.ConnConfig) { c.Database = "postgres" })
	into("my role into template1", func(c *pgx.ConnConfig) { c.Database = "template1" })
	into("their role into my database", func(c *pgx.ConnConfig) { c.User, c.Password = theirs.RoleName, theirs.Password })
	into("their role with my password", func(c *pgx.ConnConfig) { c.Database, c.User = theirs.DatabaseName, theirs.RoleName })
	into("the administrator", func(c *pgx.ConnConfig) { c.User = "changeover_admin" })
	into("a replication connection", func(c *pgx.ConnConfig) { c.RuntimeParams["replication"] = "database" })
	into("without TLS", func(c *pgx.ConnConfig) { c.TLSConfig, c.Fallbacks = nil, nil })

	// pg_hba.conf is not all that keeps them apart.
	admin := mine.ConnectAdmin(t, "postgres")
	if may := platformtest.Query(t, admin, `select count(*)::text from pg_database d where has_database_privilege($1, d.oid, 'connect') and datname <> $2 and datallowconn`,
		mine.RoleName, mine.DatabaseName); may != "0" {
		t.Errorf("the role may connect to %s other databases", may)
	}
	if public := platformtest.Query(t, admin, `select count(*)::text from pg_database where datallowconn and (datacl is null or exists (select from aclexplode(datacl) where grantee = 0))`); public != "0" {
		t.Errorf("%s databases grant something to everybody", public)
	}

	victim, app := theirs.Connect(t), mine.Connect(t)
	pid := victim.PgConn().PID()
	role, other := pgx.Identifier{mine.RoleName}.Sanitize(), pgx.Identifier{theirs.RoleName}.Sanitize()
	for _, sql := range []string{
		fmt.Sprintf("select pg_terminate_backend(%d)", pid), fmt.Sprintf("select pg_cancel_backend(%d)", pid),
		fmt.Sprintf("select pg_log_backend_memory_contexts(%d)", pid), fmt.Sprintf("select pg_database_size('%s')", theirs.DatabaseName),
		"set role " + other, "set session authorization " + other, "grant " + other + " to " + role, "alter role " + other + " password 'x'",
		"alter role " + role + " connection limit -1", "alter role " + role + " createdb", "alter role " + role + " bypassrls",
		"alter role " + role + " set temp_file_limit = -1", "set temp_file_limit = -1", "set session_replication_role = replica",
		"alter role " + role + " in database " + pgx.Identifier{mine.DatabaseName}.Sanitize() + " reset temp_file_limit",
		"alter database " + pgx.Identifier{mine.DatabaseName}.Sanitize() + " connection limit -1", "alter database " + pgx.Identifier{mine.DatabaseName}.Sanitize() + " rename to other",
		"drop database " + pgx.Identifier{mine.DatabaseName}.Sanitize(), "drop database " + pgx.Identifier{theirs.DatabaseName}.Sanitize(),
		"create extension dblink", "create extension postgres_fdw", "create extension file_fdw", "create extension adminpack",
		"create function f() returns int language c as '$libdir/dblink', 'dblink_connect'", "create function g() returns int language internal as 'pg_backend_pid'",
		"create event trigger e on ddl_command_start execute function suppress_redundant_updates_trigger()",
		"create tablespace t location '/tmp'", "create subscription s connection 'dbname=postgres' publication p", "load '$libdir/dblink'",
		"copy (select 1) to program 'true'", "copy pg_class to '/tmp/x'", "select lo_import('/etc/passwd')", "select lo_export(1, '/tmp/x')",
		"select pg_read_file('PG_VERSION')", "select pg_ls_dir('.')", "select pg_stat_file('PG_VERSION')", "select pg_current_logfile()", "select pg_reload_conf()",
		"select pg_rotate_logfile()", "select pg_switch_wal()", "select pg_create_restore_point('x')", "select pg_create_physical_replication_slot('x')",
		"select pg_create_logical_replication_slot('x', 'test_decoding')", "alter system set work_mem = '1GB'", "checkpoint", "prepare transaction 'x'",
		"select * from pg_authid", "select * from pg_hba_file_rules", "select * from pg_file_settings", "select pg_stat_reset_shared('bgwriter')",
		"create table pg_catalog.t ()", "alter function pg_catalog.now() owner to current_user", "create or replace function pg_catalog.now() returns int language sql as 'select 1'",
	} {
		if sql == "prepare transaction 'x'" {
			sql = "begin; create table prepared (); " + sql
		}
		if _, err := app.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err == nil {
			t.Errorf("the app may %q", sql)
		}
		_, _ = app.Exec(t.Context(), "rollback") // a statement outside a transaction is only warned of
	}
	if _, err := victim.Exec(t.Context(), "select 1"); err != nil {
		t.Errorf("their session: %v", err)
	}
	if seen := platformtest.Query(t, app, `select count(*)::text from pg_stat_activity where datname <> current_database() and query not in ('', '<insufficient privilege>')`); seen != "0" {
		t.Errorf("the app sees %s queries of others", seen)
	}
	if seen := platformtest.Query(t, app, "select count(*)::text from pg_class where relname = 'secret'"); seen != "0" {
		t.Error("the app sees their table")
	}
}

func checkSharedLimits(t *testing.T, mine, theirs *platformtest.Server) {
	conn := mine.Connect(t)
	if limit := platformtest.Query(t, conn, "select current_setting('temp_file_limit')"); limit != "52428kB" {
		t.Errorf("temp_file_limit is %s", limit)
	}
	exec(t, conn, "set work_mem = '64kB'")
	_, err := conn.Exec(t.Context(), "select count(*) from (select g, repeat('x', 200) from generate_series(1, 1000000) g order by 2, 1) s")
	if err == nil || !strings.Contains(err.Error(), "temp_file_limit") {
		t.Errorf("a sort larger than its limit: %v", err)
	}
	_ = conn.Close(t.Context())
	// A session that ended is counted until its process is gone.
	admin := mine.ConnectAdmin(t)
	platformtest.Await(t, "no session", func() (bool, error) {
		var n int
		err := admin.QueryRow(t.Context(), "select count(*) from pg_stat_activity where usename = $1", mine.RoleName).Scan(&n)
		return n == 0, err
	})
	for range 20 {
		mine.Connect(t)
	}
	if conn, err := pgx.Connect(t.Context(), mine.URL); err == nil {
		_ = conn.Close(t.Context())
		t.Error("connection 21 was let in, the plan's limit is 20")
	}
	theirs.Connect(t) // its own limit is not reached
	mine.ConnectAdmin(t)
}

func checkNotForOne(t *testing.T, p *platformtest.Platform, cluster *platformtest.Server) {
	ctx, s := t.Context(), cluster.Server
	_, _, stopForSwitch := p.StopForSwitch(ctx, platformtest.Epoch, s, "")
	_, withdraw := p.WithdrawPromotion(ctx, platformtest.Epoch, s)
	for what, err := range map[string]error{
		"stop": p.Stop(ctx, platformtest.Epoch, s), "fence": p.Fence(ctx, platformtest.Epoch, s), "unfence": p.Unfence(ctx, platformtest.Epoch, s),
		"kill": p.Kill(ctx, platformtest.Epoch, s), "end all": p.EndAll(ctx, platformtest.Epoch, s), "stop for a switch": stopForSwitch,
		"promote": p.Promote(ctx, platformtest.Epoch, s), "withdraw": withdraw, "destroy": p.Destroy(ctx, platformtest.Epoch, s),
		"follow": p.Follow(ctx, platformtest.Epoch, s, s, ""), "copy": p.Copy(ctx, platformtest.Epoch, p.NewServer(t, "standard-0"), s, "x"),
	} {
		if platform.KindOf(err) != platform.KindConflict {
			t.Errorf("%s: %v, want Conflict", what, err)
		}
	}
	if !status(t, p, cluster).Running {
		t.Error("the cluster does not run any more")
	}
}

// checkMany makes 20 more at the same time.
func checkMany(t *testing.T, p *platformtest.Platform, cluster *platformtest.Server) {
	members := make([]*platformtest.Server, 20)
	begin := time.Now()
	var group sync.WaitGroup
	for i := range members {
		group.Go(func() { members[i] = p.Member(t, cluster, "essential-0") })
	}
	group.Wait()
	t.Logf("20 databases in %s", time.Since(begin).Round(time.Millisecond))
	for _, m := range members {
		if m == nil {
			t.Fatal("one was not made")
		}
		exec(t, m.Connect(t), "create table t as select 1")
	}
}

// killShared kills the cluster's every process; all of its databases come back.
func killShared(t *testing.T, p *platformtest.Platform, cluster, mine, theirs *platformtest.Server) {
	exec(t, mine.Connect(t), "create table kept as select 1")
	before := status(t, p, cluster).PID
	signal(t, before, syscall.SIGKILL)
	cluster.Start(t)
	if after := status(t, p, cluster); after.PID == before || !after.Running {
		t.Errorf("after the kill: %+v", after)
	}
	if n := platformtest.Query(t, mine.Connect(t), "select count(*)::text from kept"); n != "1" {
		t.Errorf("kept has %s rows", n)
	}
	theirs.Connect(t)
	checkApart(t, mine, theirs)
}

func checkDropped(t *testing.T, p *platformtest.Platform, cluster, mine, theirs *platformtest.Server) {
	if conn, err := pgx.Connect(t.Context(), mine.URL); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a dropped database lets its app in")
	}
	open := theirs.Connect(t) // a session does not keep it
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range 2 {
		if err := p.DropDatabase(ctx, 10, cluster.Server, theirs.DatabaseName, theirs.RoleName); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := open.Exec(ctx, "select 1"); err == nil {
		t.Error("its session goes on")
	}
	hba, err := os.ReadFile(filepath.Join(cluster.DataDir(), "pg_hba.conf"))
	if err != nil || strings.Contains(string(hba), theirs.DatabaseName) {
		t.Errorf("pg_hba.conf still lets somebody in (%v): %s", err, hba)
	}
	admin := cluster.ConnectAdmin(t)
	if left := platformtest.Query(t, admin, "select (select string_agg(datname, ' ') from pg_database) || ' ' || (select string_agg(rolname, ' ') from pg_roles)"); strings.Contains(left, mine.RoleName) || strings.Contains(left, theirs.DatabaseName) {
		t.Errorf("left over: %s", left)
	}
	if err := p.Destroy(ctx, 11, cluster.Server); platform.KindOf(err) != platform.KindConflict { // the many are in it
		t.Errorf("the cluster was removed under its databases: %v", err)
	}
}
