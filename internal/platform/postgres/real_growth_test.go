package postgres

import (
	"fmt"
	"strings"
	"testing"

	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
)

// A full database refuses all that would make it larger, for a role that owns
// everything in it; what makes room goes on, and once there is room, all does.
func TestFullDatabaseRefusesGrowth(t *testing.T) {
	p := platformtest.New(t)
	s := p.Leader(t, "essential-0")
	admin, app := s.ConnectAdmin(t), s.Connect(t)
	run(t, app, `create table parent (id int primary key, n int)`, `create table child (parent_id int references parent on delete cascade, note text)`,
		`create table loose (parent_id int references parent)`, `create table cleared (parent_id int references parent on delete set null)`,
		`create table parts (id int) partition by range (id)`, `create table parts_1 partition of parts for values from (0) to (1000)`,
		`create table heirs () inherits (parent)`, `create unlogged table cart (n int)`, `create schema mine`, `create table mine."Odd ""name" (n int)`,
		`create view through as select * from parent`, `create materialized view seen as select * from parent`, `create sequence numbers`, `create table doomed (n int)`,
		`create function sneak() returns void language sql security definer as 'insert into parent values (99)'`,
		// An operator before pg_catalog's own must not be asked by our functions.
		`create function mine.always(text, text) returns bool language sql as 'select true'`,
		`create operator mine.= (leftarg = text, rightarg = text, function = mine.always)`,
		`create table nested (n int)`, `insert into nested values (1)`,
		`create function grow() returns trigger language plpgsql as $$ begin update parent set n = n + 1; return null; end $$`,
		`create trigger grow after delete on nested for each row execute function grow()`,
		`insert into parent select g, g from generate_series(1, 10) g`, `insert into child select g, repeat('x', 100) from generate_series(1, 10) g`,
		`insert into cleared values (3)`, `select lo_from_bytea(4711, 'abc')`)

	// Sessions that had begun before: none of them goes on.
	writing, temporary, locking := s.Connect(t), s.Connect(t), s.Connect(t)
	run(t, writing, `begin`, `insert into parent values (50, 50)`)
	run(t, temporary, `create temp table mountain (n int)`)
	run(t, locking, `begin`, `create table late (n int)`)
	check(t, RefuseGrowth(t.Context(), admin))
	for _, conn := range []*pgx.Conn{app, writing, temporary, locking} {
		if _, err := conn.Exec(t.Context(), `select 1`); err == nil {
			t.Error("a session from before goes on")
		}
	}

	app = s.Connect(t)
	refused := func(statements ...string) {
		t.Helper()
		for _, sql := range statements {
			if _, err := app.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err == nil {
				t.Errorf("a full database lets through: %s", sql)
			}
			_, _ = app.Exec(t.Context(), "rollback", pgx.QueryExecModeSimpleProtocol)
		}
	}
	growth := []string{
		`insert into parent values (51, 51)`, `insert into parent select g, g from generate_series(100, 200) g`, `update parent set n = n + 1`,
		`insert into parent values (1, 1) on conflict (id) do update set n = 2`, `with w as (insert into parent values (52, 52) returning 1) select * from w`,
		`merge into parent p using (values (1), (53)) v (id) on p.id = v.id when matched then update set n = 0 when not matched then insert values (v.id, 0)`,
		`insert into parts values (1)`, `insert into parts_1 values (1)`, `update parts set id = 2`, `insert into heirs values (54, 54)`, `insert into cart values (1)`,
		`insert into mine."Odd ""name" values (1)`, `insert into through values (55, 55)`, `update through set n = 0`, `select sneak()`, `copy parent from stdin`,
		`do $$ begin insert into parent values (56, 56); end $$`, `prepare p as insert into parent values (57, 57); execute p`,
		`create table more (n int)`, `create temp table more (n int)`, `create table more as select 1`, `select * into more from parent`, `create unlogged table more (n int)`,
		`create index on parent (n)`, `refresh materialized view seen`, `create materialized view more as select 1`, `alter table parent add column more int default 1`,
		`alter table parent alter n type bigint`, `create sequence more`, `create schema more`, `create view more as select 1`, `create function more() returns int language sql as 'select 1'`,
		`create extension hstore`, `create type more as (n int)`, `comment on table parent is 'more'`, `create statistics more on id, n from parent`,
		`select lo_create(4712)`, `select lo_from_bytea(4713, 'abc')`, `select lo_put(4711, 100, 'abc')`, `select lowrite(lo_open(4711, 131072), 'abc')`, `select lo_truncate(lo_open(4711, 131072), 10)`,
	}
	ways := []string{
		`alter table parent disable trigger all`, `alter table parent disable trigger user`, `set session_replication_role = replica`,
		`alter event trigger changeover_full disable`, `drop event trigger changeover_full`, `alter event trigger changeover_full owner to current_user`,
		`drop function pg_changeover.refuse_growth() cascade`, `drop schema pg_changeover cascade`, `drop extension plpgsql cascade`,
		`create or replace function pg_changeover.refuse_growth() returns trigger language plpgsql as 'begin return null; end'`,
		`alter function pg_changeover.refuse_growth() rename to other`, `grant execute on function lo_create(oid) to current_user`,
		`grant all on all tables in schema public to public`, `alter table parent rename to other`, `drop owned by current_user`,
		`alter default privileges grant all on tables to public`, `create rule r as on insert to through do instead nothing`,
		fmt.Sprintf(`alter database %s set event_triggers = off`, pgx.Identifier{s.DatabaseName}.Sanitize()),
		`set search_path = mine, pg_catalog; create table more (n int)`, `set search_path = mine, pg_catalog; insert into parent values (58, 58)`,
	}
	for _, name := range strings.Fields(platformtest.Query(t, admin, `select string_agg(tgname, ' ') from pg_trigger where not tgisinternal`)) {
		ways = append(ways, `drop trigger `+name+` on parent`, `alter trigger `+name+` on parent rename to other`)
	}
	refused(growth...)
	refused(ways...)
	refused(growth...) // and none of the ways has opened one

	// Making room goes on, and reading.
	run(t, app, `select count(*) from parent`, `select lo_get(4711)`, `select nextval('numbers')`, `delete from child where parent_id = 1`, `delete from parent where id = 2`,
		`vacuum parent`, `vacuum full child`, `truncate loose`, `drop table doomed`, `drop index if exists none`, `analyze parent`, `reindex table parent`,
		`alter role current_user set work_mem = '1MB'`, `select lo_unlink(4711)`, `drop materialized view seen`)
	// A foreign key's own update on delete is part of making room; one that a trigger
	// makes beside it is not.
	run(t, app, `delete from parent where id = 3`)
	if n := platformtest.Query(t, app, `select count(*)::text from cleared where parent_id is null`); n != "1" {
		t.Error("on delete set null did not happen")
	}
	refused(`delete from nested where n = 1`)

	// Again, with a table that only now has to refuse: the administrator made it.
	run(t, admin, `create table public.other (n int)`, `alter table public.other owner to `+pgx.Identifier{s.RoleName}.Sanitize())
	busy := s.Connect(t)
	run(t, busy, `begin`, `insert into other values (1)`)
	check(t, RefuseGrowth(t.Context(), admin))
	refused(`insert into other values (2)`)

	// A reader that keeps a lock does not keep it full.
	app = s.Connect(t)
	reader := s.Connect(t)
	run(t, reader, `begin`, `select count(*) from parent`)
	allow := func(want bool) {
		t.Helper()
		gone, err := AllowGrowth(t.Context(), admin)
		check(t, err)
		if gone != want {
			t.Errorf("gone is %t, want %t", gone, want)
		}
	}
	allow(false)
	run(t, app, `insert into parent values (60, 60)`, `create table more (n int)`)
	run(t, reader, `rollback`)
	allow(true)
	allow(true)
	run(t, app, `update parent set n = 1`, `select lo_create(4712)`, `insert into parts values (5)`)
	if left := platformtest.Query(t, admin, `select (select count(*) from pg_event_trigger) + (select count(*) from pg_trigger where not tgisinternal and tgname <> 'grow') + (select count(*) from pg_namespace where nspname = 'pg_changeover') || ''`); left != "0" {
		t.Errorf("%s things of ours are left", left)
	}
	// And it can be full once more.
	check(t, RefuseGrowth(t.Context(), admin))
	app = s.Connect(t)
	refused(growth[:6]...)
}
