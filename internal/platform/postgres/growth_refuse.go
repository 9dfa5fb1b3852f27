package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// A database that is full refuses what would make it larger. Its owner could
// undo revoked privileges and read-only defaults, so this is done by what only a
// superuser can take away: an event trigger refuses every DDL statement but
// those that make room, and with it the owner's way to drop or disable the
// triggers that refuse INSERT and UPDATE (COPY and MERGE fire them as well).
// Reading, DELETE, TRUNCATE, DROP TABLE and VACUUM (FULL) go on.

// guardSchema holds the functions of ours that a database has for a while. An
// app cannot make a schema whose name begins with pg_, and pg_dump leaves it out.
const guardSchema = "pg_changeover"

// How long to wait for a lock, and for sessions that were ended.
const (
	lockWithin     = time.Second
	sessionsWithin = 5 * time.Second
)

// guardText makes the schema and its functions. The search path is fixed: an
// operator that the app put in front of pg_catalog's would decide in its place.
// The one UPDATE that is let through is a foreign key's own, on delete set null
// or set default: under it in the stack stands no function, as there would with
// everything that an app can write, and each row can have it only once.
// 53100 is PostgreSQL's code for a full disk.
const guardText = `
set local allow_system_table_mods = on;
create schema if not exists pg_changeover;
create or replace function pg_changeover.refuse_ddl() returns event_trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if tg_tag in ('DROP TABLE', 'DROP INDEX', 'DROP MATERIALIZED VIEW', 'DROP SCHEMA', 'DROP VIEW', 'DROP SEQUENCE', 'REINDEX')
    or exists (select from pg_catalog.pg_roles where rolname = session_user and rolsuper) then
    return;
  end if;
  raise exception using errcode = '53100', message = format('%s is refused: the database has reached the storage of its plan', tg_tag),
    hint = 'Make room with DELETE and VACUUM FULL, TRUNCATE or DROP TABLE, or move to a larger plan.';
end $$;
create or replace function pg_changeover.refuse_growth() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  stack text;
begin
  if tg_op = 'UPDATE' and pg_trigger_depth() = 2 then
    get diagnostics stack = pg_context;
    stack := substr(stack, strpos(stack, E'\n') + 1);
    if stack ~ '^SQL statement "UPDATE ONLY ' and stack !~ 'function' then
      return null;
    end if;
  end if;
  raise exception using errcode = '53100', message = format('%s is refused: the database has reached the storage of its plan', tg_op),
    hint = 'Make room with DELETE and VACUUM FULL, TRUNCATE or DROP TABLE, or move to a larger plan.';
end $$`

// letThroughText makes the same functions let everything through, for as long as
// somebody's lock keeps them from being dropped.
const letThroughText = `
create or replace function pg_changeover.refuse_ddl() returns event_trigger language plpgsql as $$ begin return; end $$;
create or replace function pg_changeover.refuse_growth() returns trigger language plpgsql as $$ begin return null; end $$`

// growers are the functions by which large objects grow; no table is named there.
const growers = `select p.oid::regprocedure::text from pg_proc p
	where p.pronamespace = 'pg_catalog'::regnamespace and p.proname in ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lowrite', 'lo_truncate', 'lo_truncate64')`

// unguarded are the tables that do not refuse yet.
const unguarded = `select format('%I.%I', n.nspname, c.relname), c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
	where c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
	  and not exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgfoid = to_regprocedure('pg_changeover.refuse_growth()'))
	order by c.oid`

// RefuseGrowth makes the connection's database refuse what would make it larger,
// and ends the sessions of its app: one that had begun to write could go on.
// Where it refuses already, nothing is changed. conn is the superuser's, with
// pg_catalog alone as its search path.
func RefuseGrowth(ctx context.Context, conn *pgx.Conn) error {
	refuses := false
	err := conn.QueryRow(ctx, `select exists (select from pg_event_trigger where evtname = 'changeover_full')
		and not exists (`+unguarded+`)
		and coalesce((select prosrc ~ 'raise' from pg_proc where oid = to_regprocedure('pg_changeover.refuse_growth()')), false)`).Scan(&refuses)
	if err != nil || refuses {
		return err
	}
	lo, err := texts(ctx, conn, growers)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		sql := guardText + `;
			drop event trigger if exists changeover_full;
			create event trigger changeover_full on ddl_command_start execute function pg_changeover.refuse_ddl()`
		for _, function := range lo {
			sql += "; revoke execute on function " + function + " from public"
		}
		_, err := tx.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil {
		return fmt.Errorf("refuse DDL: %w", err)
	}
	if err := EndSessions(ctx, conn, sessionsWithin); err != nil {
		return err
	}
	return refuseOnTables(ctx, conn)
}

// refuseOnTables adds the trigger to every table; whoever keeps one locked is ended.
func refuseOnTables(ctx context.Context, conn *pgx.Conn) error {
	for tries := 0; ; {
		var table string
		var oid uint32
		err := conn.QueryRow(ctx, unguarded+" limit 1").Scan(&table, &oid)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list the tables: %w", err)
		}
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			// The name is random: the app may have a trigger of any other name.
			_, err := tx.Exec(ctx, fmt.Sprintf(`set local lock_timeout = %d;
				create trigger %s before insert or update on %s for each statement execute function pg_changeover.refuse_growth()`,
				lockWithin.Milliseconds(), pgx.Identifier{"changeover_" + platform.RandomToken(8)}.Sanitize(), table), pgx.QueryExecModeSimpleProtocol)
			return err
		})
		switch tries++; {
		case err == nil:
			tries = 0
		case isCode(err, "42P01"): // it was dropped meanwhile
		case !isCode(err, codeLockTimeout) || tries == 5:
			return fmt.Errorf("refuse growth of %s: %w", table, err)
		default:
			if _, err := conn.Exec(ctx, `select pg_terminate_backend(l.pid) from pg_locks l join pg_stat_activity a on a.pid = l.pid
				where l.database = (select oid from pg_database where datname = current_database()) and l.relation = $1
				  and a.usename <> session_user`, oid); err != nil {
				return err
			}
		}
	}
}

// AllowGrowth takes back what RefuseGrowth did. Where a lock is in the way of
// dropping it, it refuses nothing any more at once, and gone is false until a
// later call has dropped it.
func AllowGrowth(ctx context.Context, conn *pgx.Conn) (gone bool, err error) {
	lo, err := texts(ctx, conn, growers)
	if err != nil {
		return false, err
	}
	var there bool
	if err := conn.QueryRow(ctx, `select to_regnamespace('`+guardSchema+`') is not null`).Scan(&there); err != nil || !there {
		return err == nil, err
	}
	if _, err := conn.Exec(ctx, "begin; "+letThroughText+"; commit", pgx.QueryExecModeSimpleProtocol); err != nil {
		return false, fmt.Errorf("allow growth: %w", err)
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		sql := fmt.Sprintf("set local lock_timeout = %d; drop event trigger if exists changeover_full; drop schema %s cascade", lockWithin.Milliseconds(), guardSchema)
		for _, function := range lo {
			sql += "; grant execute on function " + function + " to public"
		}
		_, err := tx.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil && !isCode(err, codeLockTimeout) {
		return false, fmt.Errorf("allow growth: %w", err)
	}
	return err == nil, nil
}

// EndSessions ends every session of clients in the connection's database but
// superusers', and returns when they are gone.
func EndSessions(ctx context.Context, conn *pgx.Conn, within time.Duration) error {
	for deadline := time.Now().Add(within); ; {
		var left int
		err := conn.QueryRow(ctx, `select count(pg_terminate_backend(a.pid)) from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
			where a.datname = current_database() and a.backend_type = 'client backend' and not r.rolsuper`).Scan(&left)
		if err != nil || left == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d sessions did not end within %s", left, within)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
