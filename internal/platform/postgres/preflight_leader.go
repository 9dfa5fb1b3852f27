package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

func checkLongTransactions(ctx context.Context, q Querier) (platform.Check, error) {
	const name, title = "long_transactions", "Long transactions"
	long, err := LongTransactions(ctx, q)
	if err != nil {
		return platform.Check{}, err
	}
	if len(long) == 0 {
		return ok(name, title, "No transaction has been open for more than 5 seconds."), nil
	}
	return know(name, title, "%s open for more than 5 seconds; the switch rolls back what is open then. %s.",
		count(int64(len(long)), "transaction"), nameBackends(long)), nil
}

// LongTransactions are the transactions of clients that have been open for more
// than 5 seconds, oldest first: a switch rolls them back.
func LongTransactions(ctx context.Context, q Querier) ([]platform.Backend, error) {
	return backends(ctx, q, `
		where a.datname = current_database() and a.backend_type = 'client backend'
		  and a.usename is distinct from current_user and a.xact_start < clock_timestamp() - $1::interval
		order by a.xact_start`, longTransaction)
}

// nameBackends names at most three connections: "Connection 123 (web, role u1) for 41 s: select …".
func nameBackends(list []platform.Backend) string {
	var parts []string
	for i, b := range list {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("and %d more", len(list)-3))
			break
		}
		query := strings.Join(strings.Fields(b.Query), " ")
		if r := []rune(query); len(r) > 80 {
			query = string(r[:80]) + "…"
		}
		parts = append(parts, fmt.Sprintf("connection %d (%s) for %s: %s", b.PID, b.Source(), b.TransactionAge.Round(time.Second), query))
	}
	text := strings.Join(parts, "; ")
	return strings.ToUpper(text[:1]) + text[1:]
}

func checkPrepared(ctx context.Context, q Querier) (platform.Check, error) {
	const name, title = "prepared_transactions", "Prepared transactions"
	names, err := texts(ctx, q, `
		select gid || ' (' || floor(extract(epoch from clock_timestamp() - prepared)) || ' s old)'
		  from pg_prepared_xacts where database = current_database() order by prepared`)
	if err != nil || len(names) == 0 {
		return ok(name, title, "There are none."), err
	}
	return know(name, title, "%s: the switch keeps what is prepared, and its locks; commit it or roll it back on the new leader: %s.", count(int64(len(names)), "prepared transaction"), list(names)), nil
}

func checkUnlogged(ctx context.Context, q Querier) (platform.Check, error) {
	const name, title = "unlogged_tables", "Unlogged tables"
	var tables, bytes int64
	err := q.QueryRow(ctx, `
		select count(*), coalesce(sum(pg_total_relation_size(oid)), 0)::bigint
		  from pg_class where relpersistence = 'u' and relkind = 'r'`).Scan(&tables, &bytes)
	switch {
	case err != nil:
		return platform.Check{}, fmt.Errorf("look for unlogged tables: %w", err)
	case tables == 0:
		return ok(name, title, "There are none."), nil
	}
	return know(name, title, "%s (%s): empty after the switch, since such rows are not in the WAL. Use alter table … set logged before, if they matter.", count(tables, "unlogged table"), platform.Bytes(bytes)), nil
}

func checkLogicalSlots(ctx context.Context, q Querier) (platform.Check, error) {
	const name, title = "logical_slots", "Logical replication slots"
	found, err := slots(ctx, q, "where slot_type = 'logical' and database = current_database()")
	if err != nil || len(found) == 0 {
		return ok(name, title, "There are none."), err
	}
	var names []string
	for _, s := range found {
		state := "not in use"
		if s.Active {
			state = "in use"
		}
		names = append(names, s.Name+" ("+state+")")
	}
	return know(name, title, "%s stay behind on the old leader: %s. Each reader must stop, and begin again from a new slot on the new leader.", count(int64(len(names)), "logical slot"), list(names)), nil
}

func checkSubscriptions(ctx context.Context, q Querier) (platform.Check, error) {
	const name, title = "subscriptions", "Subscriptions"
	names, err := texts(ctx, q, `
		select subname || case when subenabled then '' else ' (disabled)' end from pg_subscription
		 where subdbid = (select oid from pg_database where datname = current_database()) order by 1`)
	if err != nil || len(names) == 0 {
		return ok(name, title, "There are none."), err
	}
	return know(name, title, "%s go on from the new leader, from where the old one ended: %s. Check that their publisher lets the new leader in.", count(int64(len(names)), "subscription"), list(names)), nil
}

// checkSessionState counts what lives in a session and ends with it. Who
// listens is known only to each session, so its last statement is looked at.
func checkSessionState(ctx context.Context, q Querier) (platform.Check, error) {
	const name, title = "session_state", "State of sessions"
	var listeners, temp, advisory int64
	err := q.QueryRow(ctx, `
		select (select count(*) from pg_stat_activity
		         where datname = current_database() and backend_type = 'client backend' and query ~* '^\s*listen\s'),
		       (select count(*) from pg_class where relpersistence = 't' and relkind = 'r'),
		       (select count(*) from pg_locks l join pg_database d on d.oid = l.database
		         where l.locktype = 'advisory' and d.datname = current_database() and l.granted)`).Scan(&listeners, &temp, &advisory)
	if err != nil {
		return platform.Check{}, fmt.Errorf("look at the sessions' state: %w", err)
	}
	if listeners+temp+advisory == 0 {
		return ok(name, title, "No listener, temporary table or advisory lock would be lost."), nil
	}
	return know(name, title, "Lost with their connections: %s, %s, %s. The app must set them up again when it reconnects.",
		count(listeners, "listener"), count(temp, "temporary table"), count(advisory, "advisory lock")), nil
}

func texts(ctx context.Context, q Querier, sql string, args ...any) ([]string, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("preflight: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("preflight: %w", err)
	}
	return found, nil
}

// list is at most five names for a sentence.
func list(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + fmt.Sprintf(" and %d more", len(names)-5)
	}
	return strings.Join(names, ", ")
}
