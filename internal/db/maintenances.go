package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

const maintenanceColumns = `m.id, m.database_id, d.name as database_name, d.app_id, a.name as app_name, m.operation_id, m.kind, m.state,
	m.from_plan, m.to_plan, m.scheduled_at, m.chosen_time, m.at_once, m.required_by, m.moved_by, m.postponed, m.reason, m.created_by,
	m.created_at, m.ready_at, m.started_at, m.ended_at, m.outage_ms, m.told_tomorrow_for,
	case when v.destroyed_at is null and p.kept_until is not null then p.old_server_id end as kept_server_id,
	case when v.destroyed_at is null then p.kept_until end as kept_until`

const fromMaintenances = ` from maintenances m join databases d on d.id = m.database_id join apps a on a.id = d.app_id
	left join replacements p on p.operation_id = m.operation_id left join servers v on v.id = p.old_server_id `

const openMaintenance = `m.state in ('preparing', 'ready', 'scheduled', 'running')`

// NewMaintenance is what a maintenance begins with.
type NewMaintenance struct {
	DatabaseID  int64
	OperationID int64
	Kind        platform.MaintenanceKind
	FromPlan    string
	ToPlan      string
	ScheduledAt *time.Time
	ChosenTime  bool
	AtOnce      bool
	RequiredBy  *time.Time
	CreatedBy   string
}

// CreateMaintenance adds a maintenance in state preparing.
func CreateMaintenance(ctx context.Context, tx pgx.Tx, n NewMaintenance) (platform.Maintenance, error) {
	id, err := value[int64](ctx, tx, nil, `insert into maintenances (database_id, operation_id, kind, from_plan, to_plan, scheduled_at,
			chosen_time, at_once, required_by, created_by)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id`,
		n.DatabaseID, n.OperationID, n.Kind, n.FromPlan, n.ToPlan, n.ScheduledAt, n.ChosenTime, n.AtOnce, n.RequiredBy, n.CreatedBy)
	if err != nil {
		return platform.Maintenance{}, err
	}
	if err := Notify(ctx, tx, "maintenances"); err != nil {
		return platform.Maintenance{}, err
	}
	return MaintenanceByID(ctx, tx, id)
}

// MaintenanceByID is one maintenance, ended or not.
func MaintenanceByID(ctx context.Context, q Querier, id int64) (platform.Maintenance, error) {
	return one[platform.Maintenance](ctx, q, noMaintenance(), `select `+maintenanceColumns+fromMaintenances+`where m.id = $1`, id)
}

// LockMaintenance is MaintenanceByID that holds the row until the transaction
// ends, so that of two who move it the second sees what the first did.
func LockMaintenance(ctx context.Context, tx pgx.Tx, id int64) (platform.Maintenance, error) {
	if err := mustTouch(ctx, tx, noMaintenance(), `select from maintenances where id = $1 for update`, id); err != nil {
		return platform.Maintenance{}, err
	}
	return MaintenanceByID(ctx, tx, id)
}

// MaintenanceOf is the maintenance that an operation prepares and runs;
// NotFound for an operation that is none.
func MaintenanceOf(ctx context.Context, q Querier, operationID int64) (platform.Maintenance, error) {
	return one[platform.Maintenance](ctx, q, noMaintenance(), `select `+maintenanceColumns+fromMaintenances+`where m.operation_id = $1`, operationID)
}

// OpenMaintenanceOf is what is still to come for a database; ok is false where nothing is.
func OpenMaintenanceOf(ctx context.Context, q Querier, databaseID int64) (m platform.Maintenance, ok bool, err error) {
	list, err := many[platform.Maintenance](ctx, q, `select `+maintenanceColumns+fromMaintenances+`where m.database_id = $1 and `+openMaintenance, databaseID)
	if err != nil || len(list) == 0 {
		return m, false, err
	}
	return list[0], true, nil
}

// MaintenanceFilter narrows the lists; the zero value is all of them.
type MaintenanceFilter struct {
	Access     *platform.Access // of databases that it sees; nil: of all
	AppID      int64            // billed to this app
	DatabaseID int64
	Limit      int // 0: 100
}

// seenMaintenances is whether a filter's access sees the database of m: whoever
// sees its app, or one that it is attached to. $1 is all, $2 are the apps.
const seenMaintenances = `($1 or d.app_id = any($2) or exists (select from attachments t where t.database_id = d.id and t.app_id = any($2)))`

func (f MaintenanceFilter) sight() (all bool, apps []int64) {
	if f.Access == nil {
		return true, nil
	}
	return f.Access.Admin, f.Access.AppIDs()
}

// ComingMaintenances are those that are open, in the order in which they run;
// those without a time come last.
func ComingMaintenances(ctx context.Context, q Querier, f MaintenanceFilter) ([]platform.Maintenance, error) {
	all, apps := f.sight()
	return many[platform.Maintenance](ctx, q, `select `+maintenanceColumns+fromMaintenances+`
		where `+openMaintenance+` and `+seenMaintenances+` and ($3::bigint = 0 or d.app_id = $3) and ($4::bigint = 0 or m.database_id = $4)
		order by m.state = 'running' desc, m.scheduled_at nulls last, m.id limit $5`, all, apps, f.AppID, f.DatabaseID, limitOr(f.Limit, 100))
}

// RunningMaintenanceOf is the name of a database of the app whose maintenance
// runs now, other than except; empty for none. It holds the app's row until the
// transaction ends, so that of two that begin at once the second sees the first.
func RunningMaintenanceOf(ctx context.Context, tx pgx.Tx, appID, except int64) (name string, err error) {
	if _, err := lockApp(ctx, tx, appID); err != nil {
		return "", err
	}
	return value[string](ctx, tx, nil, `select coalesce(min(d.name), '') from maintenances m join databases d on d.id = m.database_id
		where d.app_id = $1 and m.id <> $2 and m.state = 'running'`, appID, except)
}

// CountComingMaintenances is how many are open.
func CountComingMaintenances(ctx context.Context, q Querier, f MaintenanceFilter) (int, error) {
	all, apps := f.sight()
	return value[int](ctx, q, nil, `select count(*) from maintenances m join databases d on d.id = m.database_id
		where `+openMaintenance+` and `+seenMaintenances, all, apps)
}

// CountPastMaintenances is how many have ended.
func CountPastMaintenances(ctx context.Context, q Querier, f MaintenanceFilter) (int, error) {
	all, apps := f.sight()
	return value[int](ctx, q, nil, `select count(*) from maintenances m join databases d on d.id = m.database_id
		where m.ended_at is not null and `+seenMaintenances, all, apps)
}

// PastMaintenances are those that have ended, newest first.
func PastMaintenances(ctx context.Context, q Querier, f MaintenanceFilter) ([]platform.Maintenance, error) {
	all, apps := f.sight()
	return many[platform.Maintenance](ctx, q, `select `+maintenanceColumns+fromMaintenances+`
		where m.ended_at is not null and `+seenMaintenances+` and ($3::bigint = 0 or d.app_id = $3) and ($4::bigint = 0 or m.database_id = $4)
		order by m.ended_at desc, m.id desc limit $5`, all, apps, f.AppID, f.DatabaseID, limitOr(f.Limit, 100))
}

// MaintenancesBetween are the open ones that are scheduled, and the ended ones
// that began to run, at or after from and before until: what a week's view shows.
func MaintenancesBetween(ctx context.Context, q Querier, f MaintenanceFilter, from, until time.Time) ([]platform.Maintenance, error) {
	all, apps := f.sight()
	return many[platform.Maintenance](ctx, q, `select `+maintenanceColumns+fromMaintenances+`
		where `+seenMaintenances+` and case when `+openMaintenance+` then m.scheduled_at else m.started_at end >= $3
			and case when `+openMaintenance+` then m.scheduled_at else m.started_at end < $4
		order by case when `+openMaintenance+` then m.scheduled_at else m.started_at end, m.id`, all, apps, from, until)
}

// PreparationNotes are what the steps that run now say, by operation: "3.2 MB
// behind". Operations without such a step have none.
func PreparationNotes(ctx context.Context, q Querier, operationIDs []int64) (map[int64]string, error) {
	type row struct {
		OperationID int64
		Detail      string
	}
	rows, err := many[row](ctx, q, `select operation_id, detail from operation_steps where state = 'running' and operation_id = any($1)`, operationIDs)
	notes := make(map[int64]string, len(rows))
	for _, r := range rows {
		notes[r.OperationID] = r.Detail
	}
	return notes, err
}

// SleepingOperations are those that wait long, in a job that is scheduled, and
// have something to do by now: their maintenance is due or a day away, or
// somebody has cancelled them. space is the lock space of runners.
func SleepingOperations(ctx context.Context, q Querier, now time.Time, space int32) ([]int64, error) {
	return value[[]int64](ctx, q, nil, `
		select coalesce(array_agg(o.id order by o.id), '{}') from operations o left join maintenances m on m.operation_id = o.id
		where o.state in ('running', 'undoing')
			and (o.cancel_requested_by <> '' or m.state in ('ready', 'scheduled') and (m.at_once or m.scheduled_at <= $1
				or m.scheduled_at - interval '24 hours' <= $1 and m.told_tomorrow_for is distinct from m.scheduled_at))
			and exists (select from river_job r where r.kind = 'operation' and (r.args ->> 'operation_id')::bigint = o.id and r.state = 'scheduled')
			and not exists (select from pg_locks l where l.locktype = 'advisory' and l.classid = $2::oid and l.objid = o.id::oid
				and l.database = (select oid from pg_database where datname = current_database()))`, now, uint32(space))
}

func noMaintenance() error {
	return platform.NotFound("The maintenance does not exist. Go back to the list of maintenances.")
}
