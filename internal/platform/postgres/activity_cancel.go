package postgres

import (
	"context"
	"errors"
	"fmt"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Cancel cancels what a client's connection to the connection's database runs
// now. Refused as Conflict where the connection waits for its synchronous
// standby: a cancelled wait counts as acknowledged, although the commit may be
// on one server only (safety 6). NotFound when there is no such connection.
func Cancel(ctx context.Context, q Querier, pid int) error {
	return signal(ctx, q, pid, "pg_cancel_backend", true)
}

// Terminate ends a client's connection to the connection's database; its open
// transaction is rolled back. NotFound when there is no such connection.
func Terminate(ctx context.Context, q Querier, pid int) error {
	return signal(ctx, q, pid, "pg_terminate_backend", false)
}

// signal looks and acts in one statement, so that a process id that was given
// to another process in between is not hit.
func signal(ctx context.Context, q Querier, pid int, function string, keepSyncWait bool) error {
	var waits, sent bool
	err := q.QueryRow(ctx, `
		select waits, case when waits then false else `+function+`(pid) end
		  from (select pid, $2 and wait_event is not distinct from 'SyncRep' as waits
		          from pg_stat_activity
		         where pid = $1 and datname = current_database() and backend_type = 'client backend'
		           and usename is distinct from current_user) b`, pid, keepSyncWait).Scan(&waits, &sent)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return platform.NotFound("There is no connection %d to this database any more. Reload the list.", pid)
	case err != nil:
		return fmt.Errorf("signal connection %d: %w", pid, err)
	case waits:
		return platform.Conflict("Connection %d has committed and waits for the standby. Cancelling would acknowledge a commit that is on one server only. Wait for the standby, or terminate the connection.", pid)
	case !sent:
		return platform.NotFound("Connection %d ended by itself just now. Reload the list.", pid)
	}
	return nil
}
