package postgres

import (
	"context"
	"fmt"

	"changeover/internal/platform"
)

// Facts are the figures of a server and its app's database that a page shows.
type Facts struct {
	DataBytes   int64 // size of the app's database on disk
	Tables      int   // ordinary and partitioned tables of the user
	Connections int   // clients in the app's database; ours are not counted
	Version     string
	InRecovery  bool
	// Transactions counts every transaction that got an id; its difference in
	// time is the rate of commits (reads get none, rollbacks and savepoints do).
	Transactions int64
	// LSN is the end of the WAL: written on a leader, replayed in recovery.
	LSN platform.LSN
}

// ReadFacts reads the facts in one round trip. q is connected to the app's
// database as superuser.
func ReadFacts(ctx context.Context, q Querier) (Facts, error) {
	var f Facts
	var end int64
	err := q.QueryRow(ctx, `
		select pg_database_size(current_database()),
		       (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
		         where c.relkind in ('r', 'p') and c.relpersistence <> 't'
		           and n.nspname <> 'information_schema' and n.nspname !~ '^pg_')::int,
		       (select count(*) from pg_stat_activity
		         where datname = current_database() and backend_type = 'client backend'
		           and usename is distinct from current_user)::int,
		       split_part(current_setting('server_version'), ' ', 1),
		       pg_is_in_recovery(),
		       pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
		       coalesce((case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
		                      else pg_current_wal_lsn() end - '0/0')::bigint, 0)`,
	).Scan(&f.DataBytes, &f.Tables, &f.Connections, &f.Version, &f.InRecovery, &f.Transactions, &end)
	if err != nil {
		return Facts{}, fmt.Errorf("read the server's facts: %w", err)
	}
	f.LSN = lsn(end)
	return f, nil
}

// Sessions counts what a stop of the server ends now: connections of clients to
// the connection's database, and the transactions open in them. Our own
// connections and the write probe's are not counted.
func Sessions(ctx context.Context, q Querier) (sessions, transactions int, err error) {
	err = q.QueryRow(ctx, `
		select count(*)::int, count(xact_start)::int
		  from pg_stat_activity
		 where datname = current_database() and backend_type = 'client backend'
		   and usename is distinct from current_user and application_name <> $1`,
		probeApplication).Scan(&sessions, &transactions)
	if err != nil {
		return 0, 0, fmt.Errorf("count the sessions: %w", err)
	}
	return sessions, transactions, nil
}
