package postgres

import (
	"testing"
	"time"

	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
)

// richSchema is what a copy has to bring along.
var richSchema = []string{
	`create extension citext`, `create schema mine`, `create extension pg_trgm schema mine`, `create type mood as enum ('calm', 'busy')`, `create domain short as text check (length(value) < 10)`,
	`create table parent (id bigserial primary key, n int, m mood default 'calm', s short, c citext, j jsonb, twice int generated always as (n * 2) stored)`,
	`create table child (parent_id bigint references parent on delete cascade, note text)`, `create index on child using gin (note mine.gin_trgm_ops)`,
	`create table parts (id int, t timestamptz) partition by range (id)`, `create table parts_1 partition of parts for values from (0) to (1000)`, `create table parts_default partition of parts default`,
	`create table heirs () inherits (parent)`, `create unlogged table cart (n int)`, `create table mine."Odd ""name" (n int)`,
	`create materialized view seen as select count(*) from parent`, `create view through as select * from parent`,
	`create function grow() returns trigger language plpgsql as $$ begin insert into child values (new.id, 'grown'); return null; end $$`,
	`create trigger grow after insert on parent for each row when (new.n < 0) execute function grow()`,
	`alter table child enable row level security`, `create policy mine on child using (true)`, `alter table child force row level security`,
	`insert into parent (n, s, c, j) select g, 's' || g, 'C' || g, jsonb_build_object('g', g) from generate_series(1, 1000) g`, `insert into parent (n) values (-1)`,
	`insert into child select g, repeat('ä', g) from generate_series(1, 100) g`, `insert into parts select g, now() from generate_series(1, 2000, 7) g`, `insert into cart values (1)`,
	`insert into heirs (n) values (5)`, `refresh materialized view seen`, `select lo_from_bytea(4711, 'abc')`, `revoke usage on schema mine from public`, `grant select on parent to public`,
	`create publication news for table parent`, `comment on table parent is 'with an umlaut: ä'`,
}

// copying is a database of a shared cluster, and a copy of it on another plan.
type copying struct {
	*platformtest.Platform
	from *platformtest.Server
	twin *platformtest.Twin
}

func newCopying(t *testing.T) *copying {
	t.Helper()
	p := platformtest.New(t)
	from := p.Member(t, p.Shared(t), "essential-0")
	return &copying{p, from, p.Twin(from)}
}

func (c *copying) hold(t *testing.T) *Hold {
	t.Helper()
	h, err := NewHold(t.Context(), c.from.ConnectAdmin(t), "copy of a test")
	check(t, err)
	t.Cleanup(h.Release)
	return h
}

func TestCopyIsTheSame(t *testing.T) {
	c := newCopying(t)
	app := c.from.Connect(t)
	run(t, app, richSchema...)
	run(t, app, `alter role `+c.from.RoleName+` in database `+c.from.DatabaseName+` set search_path = "$user", public, mine`)
	check(t, app.Close(t.Context()))
	// A full database is what one most wants to move to a larger plan.
	check(t, RefuseGrowth(t.Context(), c.from.ConnectAdmin(t)))
	h := c.hold(t)
	check(t, c.twin.Copy(t.Context(), 2, h.Snapshot))
	before, err := h.Contents(t.Context())
	check(t, err)
	if len(before) < 60 {
		t.Errorf("only %d facts are compared", len(before))
	}
	admin := c.from.ConnectAdmin(t, c.twin.DatabaseName)
	after, err := ReadContents(t.Context(), admin)
	check(t, err)
	if fact := before.Differs(after); fact != "" {
		t.Errorf("only one of them has: %s", fact)
	}
	check(t, CopySettings(t.Context(), h.conn, admin, c.from.DatabaseName, c.twin.DatabaseName, c.from.RoleName))

	// Nobody gets in before it is opened, and nobody who copied is left.
	if conn, err := pgx.Connect(t.Context(), c.twin.URL); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the app is let into a copy that is not opened")
	}
	if left := platformtest.Query(t, admin, `select count(*)::text from pg_roles where rolname ~ '^copy_'`); left != "0" {
		t.Errorf("%s copying roles are left", left)
	}
	_, err = c.CloseDatabase(t.Context(), 2, c.from.Server, c.from.DatabaseName, c.from.RoleName)
	check(t, err)
	check(t, c.twin.Open(t.Context(), 2))
	h.Release()
	moved, err := pgx.Connect(t.Context(), c.twin.URL)
	check(t, err)
	defer func() { _ = moved.Close(t.Context()) }()
	// It takes everything again, and what the app owned is the app's.
	run(t, moved, `insert into parent (n, s) values (-7, 'new')`, `insert into mine."Odd ""name" values (1)`, `alter table parent add column more int`, `drop extension citext cascade`,
		`select lo_put(4711, 3, 'def')`, `create table more (n int)`, `refresh materialized view seen`, `drop schema mine cascade`)
	if got := platformtest.Query(t, moved, `show search_path`); got != `"$user", public, mine` {
		t.Errorf("search_path is %s", got)
	}
	if got := platformtest.Query(t, moved, `select (max(id) >= 1003)::text from parent`); got != "true" {
		t.Error("a sequence begins anew")
	}
	if conn, err := pgx.Connect(t.Context(), c.from.URL); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the app is let into the old one")
	}
}

// Whatever the app sets, owns or has begun: nothing is written while it is held.
func TestHeldDatabaseIsNotChanged(t *testing.T) {
	c := newCopying(t)
	app := c.from.Connect(t)
	run(t, app, `create table t (id int primary key, n int)`, `insert into t values (1, 1)`, `select lo_from_bytea(4711, 'abc')`, `create materialized view seen as select * from t`)
	begun, making := c.from.Connect(t), c.from.Connect(t)
	run(t, begun, `begin`, `insert into t values (2, 2)`)
	run(t, making, `begin`, `create table late (n int)`, `insert into late values (1)`)
	h := c.hold(t)
	for _, conn := range []*pgx.Conn{app, begun, making} {
		if _, err := conn.Exec(t.Context(), `commit`); err == nil {
			t.Error("a session from before goes on")
		}
	}
	before, err := h.Contents(t.Context())
	check(t, err)

	app = c.from.Connect(t)
	if got := platformtest.Query(t, app, `select count(*)::text from t`); got != "1" {
		t.Errorf("%s rows", got)
	}
	for sql, code := range map[string]string{`insert into t values (3, 3)`: codeLockTimeout, `create table more (n int)`: "25006", `select lo_put(4711, 0, 'x')`: "42501"} {
		begin := time.Now()
		if _, err := app.Exec(t.Context(), sql); !isCode(err, code) || time.Since(begin) > 5*time.Second {
			t.Errorf("an ordinary session, %s: %v after %s", sql, err, time.Since(begin))
		}
	}
	run(t, app, `set default_transaction_read_only = off`, `set lock_timeout = '100ms'`)
	for _, sql := range []string{`insert into t values (3, 3)`, `update t set n = 5`, `delete from t`, `truncate t`, `copy t from program 'echo 1'`, `create table more (n int)`, `drop table t`,
		`alter table t add column x int`, `select lo_put(4711, 0, 'x')`, `select lo_create(4712)`, `select lo_unlink(4711)`, `refresh materialized view seen`, `grant select on t to public`,
		`lock table t in exclusive mode`, `drop schema pg_changeover_copy cascade`, `drop event trigger changeover_copy`, `select * from t for update`,
		`do $$ begin execute 'create temp table x (n int)'; end $$`} {
		if _, err := app.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err == nil {
			t.Errorf("a held database lets through: %s", sql)
		}
	}
	check(t, h.Check(t.Context()))
	admin := c.from.ConnectAdmin(t)
	after, err := ReadContents(t.Context(), admin)
	check(t, err)
	if fact := before.Differs(after); fact != "" {
		t.Errorf("changed while it was held: %s", fact)
	}

	// A second hold of the same name takes over; the first one is lost.
	second := c.hold(t)
	if h.Check(t.Context()) == nil {
		t.Error("two sessions hold it")
	}
	second.Release()
	check(t, AllowChanges(t.Context(), admin))
	app = c.from.Connect(t)
	run(t, app, `insert into t values (3, 3)`, `create table more (n int)`)
	if left := platformtest.Query(t, admin, `select count(*)::text from pg_event_trigger`); left != "0" {
		t.Errorf("%s event triggers are left", left)
	}
}

// Writers are ended before the locks go, and none gets through at the last moment.
func TestClosedDatabaseTakesNobody(t *testing.T) {
	c := newCopying(t)
	run(t, c.from.Connect(t), `create table t (n int)`)
	h := c.hold(t)
	stop := make(chan struct{})
	wrote := make(chan error, 8)
	for range cap(wrote) { // each connects anew all the time and overrides what it is told
		go func() {
			for {
				select {
				case <-stop:
					wrote <- nil
					return
				default:
				}
				conn, err := pgx.Connect(t.Context(), c.from.URL)
				if err != nil {
					continue
				}
				_, err = conn.Exec(t.Context(), `set default_transaction_read_only = off; set lock_timeout = 0; insert into t values (1)`, pgx.QueryExecModeSimpleProtocol)
				_ = conn.Close(t.Context())
				if err == nil {
					wrote <- pgx.ErrTxCommitRollback
					return
				}
			}
		}()
	}
	time.Sleep(300 * time.Millisecond)
	ended, err := c.CloseDatabase(t.Context(), 2, c.from.Server, c.from.DatabaseName, c.from.RoleName)
	check(t, err)
	h.Release()
	time.Sleep(300 * time.Millisecond)
	close(stop)
	for range cap(wrote) {
		check(t, <-wrote)
	}
	if got := platformtest.Query(t, c.from.ConnectAdmin(t), `select count(*)::text from t`); got != "0" || ended == 0 {
		t.Errorf("%s rows got through, %d sessions were ended", got, ended)
	}
}

// What the app has written into its database runs while it is copied, and gets
// no rights by that.
func TestCopyGivesNoRights(t *testing.T) {
	c := newCopying(t)
	run(t, c.from.Connect(t),
		`create function climb(n int) returns boolean language plpgsql as $$
		begin
			if current_setting('application_name') = 'pg_restore' then
				begin
					execute 'reset role';
					execute 'alter role `+c.from.RoleName+` superuser';
				exception when others then null;
				end;
			end if;
			return true;
		end $$`,
		`create table t (n int check (climb(n)))`, `insert into t values (1)`)
	h := c.hold(t)
	check(t, c.twin.Copy(t.Context(), 2, h.Snapshot))
	admin := c.from.ConnectAdmin(t)
	if got := platformtest.Query(t, admin, `select rolsuper::text from pg_roles where rolname = '`+c.from.RoleName+`'`); got != "false" {
		t.Error("the app's role is a superuser")
	}
}
