package db

import (
	"context"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// SharedCluster is a shared cluster and the plans of the databases in it.
type SharedCluster struct {
	Server platform.Server
	Plans  []string
}

// moving are the plans of what is in a cluster beside the databases that are
// there: those that are being copied into it, and those that are kept closed.
const moving = `select m.plan from database_moves m join operations o on o.id = m.operation_id join databases d on d.id = m.database_id
		where m.server_id = servers.id and o.state in ('running', 'undoing') and d.database_name <> m.database_name
	union all
	select m.from_plan from database_moves m where m.old_server_id = servers.id and m.kept_until is not null`

// SharedClusters is the shared clusters of the major in the zone that are made
// or being made, oldest first. The caller holds the lock of TakenPorts, so that
// what it puts into one of them is seen by the next who asks.
func SharedClusters(ctx context.Context, tx pgx.Tx, major int, zone string) ([]SharedCluster, error) {
	type row struct {
		platform.Server
		Plans []string
	}
	rows, err := many[row](ctx, tx, `select `+serverColumns+`,
			array(select d.plan from databases d where d.server_id = servers.id and d.state <> 'destroyed'
				union all `+moving+`) as plans
		from servers where database_id is null and destroyed_at is null and state in ('making', 'running') and major = $1 and zone = $2
		order by id`, major, zone)
	list := make([]SharedCluster, len(rows))
	for i, r := range rows {
		list[i] = SharedCluster{r.Server, r.Plans}
	}
	return list, err
}

// AbandonCluster takes a shared cluster that was never finished out of use, so
// that its files can be removed. It is false, and changes nothing, where another
// database than the given one is to be in it, or where it runs.
func AbandonCluster(ctx context.Context, tx pgx.Tx, serverID, databaseID int64) (bool, error) {
	if _, err := TakenPorts(ctx, tx); err != nil { // for its lock
		return false, err
	}
	n, err := exec(ctx, tx, `update servers set state = 'stopped'
		where id = $1 and database_id is null and destroyed_at is null and state in ('making', 'stopped')
			and not exists (select from databases d where d.server_id = $1 and d.id <> $2)
			and not exists (select from database_moves m join operations o on o.id = m.operation_id
				where m.server_id = $1 and m.database_id <> $2 and o.state in ('running', 'undoing'))`, serverID, databaseID)
	return n == 1, err
}
