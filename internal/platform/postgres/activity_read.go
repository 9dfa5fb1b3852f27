package postgres

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// backendColumns is one row of pg_stat_activity as scanBackend reads it. The
// query's text is cut in the server: a statement can be megabytes long.
const backendColumns = `
	a.pid, coalesce(a.state, ''), coalesce(a.usename, ''), coalesce(a.application_name, ''),
	coalesce(host(a.client_addr), ''),
	greatest(0, extract(epoch from clock_timestamp() -
	         case when a.state = 'active' then a.query_start else a.state_change end))::float8,
	a.xact_start, coalesce(greatest(0, extract(epoch from clock_timestamp() - a.xact_start)), 0)::float8,
	coalesce(a.wait_event_type || ': ' || a.wait_event, ''), pg_blocking_pids(a.pid),
	left(coalesce(a.query, ''), 500), coalesce(a.backend_type, '')`

// Activity is every connection of clients to the connection's database, oldest
// transaction first; ours are left out.
func Activity(ctx context.Context, q Querier) ([]platform.Backend, error) {
	return backends(ctx, q, `
		where a.datname = current_database() and a.backend_type = 'client backend'
		  and a.usename is distinct from current_user
		order by a.xact_start nulls last, a.query_start nulls last, a.pid`)
}

func backends(ctx context.Context, q Querier, rest string, args ...any) ([]platform.Backend, error) {
	rows, err := q.Query(ctx, "select "+backendColumns+" from pg_stat_activity a "+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read the activity: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanBackend)
	if err != nil {
		return nil, fmt.Errorf("read the activity: %w", err)
	}
	return list, nil
}

func scanBackend(row pgx.CollectableRow) (platform.Backend, error) {
	var b platform.Backend
	var running, age float64
	var blocked []int32
	err := row.Scan(&b.PID, &b.State, &b.Role, &b.Application, &b.Address, &running,
		&b.TransactionStartedAt, &age, &b.WaitEvent, &blocked, &b.Query, &b.Type)
	// A wait is worth showing only where something is being done: an idle
	// connection always waits for its client.
	if b.State == "idle" || b.WaitEvent == "Client: ClientRead" {
		b.WaitEvent = ""
	}
	b.RunningFor, b.TransactionAge = seconds(running), seconds(age)
	for _, pid := range blocked {
		b.BlockedBy = append(b.BlockedBy, int(pid))
	}
	return b, err
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// OpenFor is how many of the transactions of those processes have been open for
// longer than limit, and how long the oldest one has.
func OpenFor(ctx context.Context, q Querier, pids []int32, limit time.Duration) (long int, oldest time.Duration, err error) {
	var age float64
	err = q.QueryRow(ctx, `
		select count(*), coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8
		from pg_stat_activity where pid = any($1) and xact_start < clock_timestamp() - make_interval(secs => $2)`,
		pids, limit.Seconds()).Scan(&long, &age)
	if err != nil {
		return 0, 0, fmt.Errorf("read the transactions of the connection pool: %w", err)
	}
	return long, seconds(age), nil
}
