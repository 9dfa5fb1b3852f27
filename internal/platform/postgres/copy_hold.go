package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// copySchema holds the function with which DDL is refused while a database is
// copied. It is not the schema of a full database, which comes and goes by itself.
const copySchema = "pg_changeover_copy"

// copyGuardText refuses every DDL statement of anybody but a superuser: a table
// that somebody makes while the others are copied would be left behind.
const copyGuardText = `
set local allow_system_table_mods = on;
create schema if not exists pg_changeover_copy;
create or replace function pg_changeover_copy.refuse_ddl() returns event_trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from pg_catalog.pg_roles where rolname = session_user and rolsuper) then
    return;
  end if;
  raise exception using errcode = '25006', message = format('%s is refused while the database moves to another plan', tg_tag),
    hint = 'It takes every statement again within minutes, at the address that the config vars name then.';
end $$;
drop event trigger if exists changeover_copy;
create event trigger changeover_copy on ddl_command_start execute function pg_changeover_copy.refuse_ddl()`

// Hold keeps one database from being changed for as long as its session lives,
// and has the snapshot from which the database is copied. The session's end, for
// whatever reason, lets writes through again; the copy is of no use then.
type Hold struct {
	conn     *pgx.Conn
	Snapshot string    // for pg_dump
	Since    time.Time // from then on writes were refused
}

// holdTries is how often the locks are asked for: whoever is in the way is ended
// in between.
const holdTries = 20

// NewHold makes the connection's database refuse every change. name tells the
// session from others; one of the same name that an earlier attempt left is ended
// first. It owns conn from then on, also when it fails.
//
// DDL is refused by an event trigger, and what had begun before that is ended
// with its session. Rows are kept by EXCLUSIVE locks on every table, taken before
// the snapshot is: what a writer then waits for, it gets only when the session
// has ended. New sessions of the app are read-only from their start and wait for
// no lock longer than 200 ms, so that ordinary clients are refused instead of
// hanging; that is a courtesy, which they may override, and not what keeps the rows.
func NewHold(ctx context.Context, conn *pgx.Conn, name string) (*Hold, error) {
	h := &Hold{conn: conn}
	err := h.take(ctx, name)
	if err != nil {
		h.Release()
		return nil, fmt.Errorf("refuse writes: %w", err)
	}
	return h, nil
}

func (h *Hold) take(ctx context.Context, name string) error {
	if _, err := h.conn.Exec(ctx, `select set_config('application_name', $1, false), set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false),
		set_config('default_transaction_read_only', 'off', false), set_config('idle_in_transaction_session_timeout', '0', false)`, name); err != nil {
		return err
	}
	for left := 1; left > 0; {
		if err := h.conn.QueryRow(ctx, `select count(pg_terminate_backend(pid)) from pg_stat_activity
			where application_name = $1 and pid <> pg_backend_pid() and usename = session_user`, name).Scan(&left); err != nil {
			return err
		}
	}
	h.Since = time.Now()
	if err := setReadOnly(ctx, h.conn, true); err != nil {
		return err
	}
	lo, err := texts(ctx, h.conn, largeObjectWriters)
	if err != nil {
		return err
	}
	guard := "begin; " + copyGuardText
	for _, function := range lo {
		guard += "; revoke execute on function " + function + " from public"
	}
	if _, err := h.conn.Exec(ctx, guard+"; commit", pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	for try := 1; ; try++ {
		if err := EndSessions(ctx, h.conn, sessionsWithin); err != nil {
			return err
		}
		err := h.lock(ctx)
		if err == nil {
			return nil
		}
		if _, rollback := h.conn.Exec(ctx, "rollback"); rollback != nil {
			return errors.Join(err, rollback)
		}
		if !isCode(err, codeLockTimeout) && !isCode(err, "40P01") && !isCode(err, "42P01") || try == holdTries {
			return err
		}
	}
}

// largeObjectWriters are the functions that change large objects. pg_dump reads
// those under the lock that writers take, so the functions are taken away
// instead: only a superuser can give them back.
const largeObjectWriters = growers + ` union all select 'pg_catalog.lo_unlink(oid)'`

// toLock are all that rows are kept in: tables and their partitions, and the list
// of large objects.
const toLock = `select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
	where c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname <> 'information_schema'
	  and (n.nspname !~ '^pg_' or c.oid = 'pg_largeobject_metadata'::regclass)
	order by c.oid`

// lock takes the locks and then the snapshot, and looks that none is missing.
func (h *Hold) lock(ctx context.Context) error {
	tables, err := texts(ctx, h.conn, toLock)
	if err != nil {
		return err
	}
	// LOCK TABLE takes no snapshot: the first query after it does.
	if _, err := h.conn.Exec(ctx, fmt.Sprintf(`begin isolation level repeatable read; set local lock_timeout = %d; lock table only %s in exclusive mode`,
		lockWithin.Milliseconds(), strings.Join(tables, ", only ")), pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	if err := h.conn.QueryRow(ctx, `select pg_export_snapshot()`).Scan(&h.Snapshot); err != nil {
		return err
	}
	now, err := texts(ctx, h.conn, toLock)
	if err == nil && strings.Join(now, " ") != strings.Join(tables, " ") {
		err = errors.New("a table was made while the others were locked")
	}
	return err
}

// Check is nil while the hold stands.
func (h *Hold) Check(ctx context.Context) error {
	_, err := h.conn.Exec(ctx, "select")
	if err != nil {
		return fmt.Errorf("the session that keeps writes out is lost: %w", err)
	}
	return nil
}

// Contents is what the snapshot shows.
func (h *Hold) Contents(ctx context.Context) (Contents, error) { return ReadContents(ctx, h.conn) }

// Release ends the session: locks and snapshot are gone. What is in the database
// for it stays until AllowChanges.
func (h *Hold) Release() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = h.conn.Close(ctx)
}

// AllowChanges takes back what NewHold has put into the connection's database.
func AllowChanges(ctx context.Context, conn *pgx.Conn) error {
	// A session that begins while the database is held is read-only, ours too.
	if _, err := conn.Exec(ctx, "set default_transaction_read_only = off"); err != nil {
		return err
	}
	sql := `begin; drop event trigger if exists changeover_copy; drop schema if exists ` + copySchema + ` cascade`
	var full bool
	if err := conn.QueryRow(ctx, `select to_regnamespace('`+guardSchema+`') is not null`).Scan(&full); err != nil {
		return err
	}
	lo, err := texts(ctx, conn, largeObjectWriters)
	if err != nil {
		return err
	}
	for _, function := range lo {
		// A full database keeps what would make it larger to itself, as before.
		if !full || strings.HasPrefix(function, "pg_catalog.lo_unlink") {
			sql += "; grant execute on function " + function + " to public"
		}
	}
	if _, err := conn.Exec(ctx, sql+"; commit", pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("allow changes: %w", err)
	}
	return setReadOnly(ctx, conn, false)
}

// setReadOnly decides how new sessions of the connection's database begin. A
// session's, a role's own setting and a transaction's go before it.
func setReadOnly(ctx context.Context, conn *pgx.Conn, on bool) error {
	var name string
	if err := conn.QueryRow(ctx, "select current_database()").Scan(&name); err != nil {
		return err
	}
	database := "alter database " + pgx.Identifier{name}.Sanitize()
	sql := database + " reset default_transaction_read_only; " + database + " reset lock_timeout"
	if on {
		sql = database + " set default_transaction_read_only = on; " + database + " set lock_timeout = '200ms'"
	}
	_, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}
