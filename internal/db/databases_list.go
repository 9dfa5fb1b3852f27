package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// DatabaseListRow is a database with what the list of databases shows of it.
type DatabaseListRow struct {
	Database      platform.Database
	Reading       Reading          // Known is false when it was never read
	Zone          string           // empty without a server
	Server        *platform.Server // that is it now, where the filter names it or its leader; nil before there is one
	LeaderName    string           // of a follower
	ForkedFrom    string           // name, of a fork
	ReplacedBy    string           // name of the database that took its place
	FollowerCount int
	Attachments   []string // "sushi::DATABASE", by name; those that access sees
	// AttachedTo are the apps of all its attachments.
	AttachedTo []int64
	// Operation is the one that holds the database now; nil when none does.
	Operation *OpenOperation
	// Next is its maintenance that is to come, or that runs; nil when none is.
	Next *NextMaintenance
}

// NextMaintenance is what the list says of a maintenance that is open.
type NextMaintenance struct {
	ID          int64
	State       platform.MaintenanceState
	Title       string
	ScheduledAt *time.Time
}

// SeenBy is whether access sees the database.
func (r DatabaseListRow) SeenBy(access platform.Access) bool {
	return access.SeesAny(r.Database.AppID) || access.SeesAny(r.AttachedTo...)
}

// OpenOperation is the operation that holds a claim on a database, and the
// step at which it is.
type OpenOperation struct {
	ID    int64
	Kind  platform.OperationKind
	State platform.OperationState
	Step  string // empty before the first one runs
	// NeedsPerson is set when it cannot go on by itself.
	NeedsPerson bool
	// Waits is set while everything is prepared and nothing is done before its
	// maintenance is due: the database is as it was.
	Waits bool
}

// DatabaseFilter narrows the list. The zero value is every database that is
// not destroyed.
type DatabaseFilter struct {
	AppID     int64  // billed to or attached to this app
	Text      string // part of its name, its plan or its app's name
	Name      string // exactly this one, destroyed or not
	LeaderID  int64  // this one, destroyed or not, and its followers
	Destroyed bool   // destroyed ones too
	Limit     int    // 0: all
}

type databaseListRow struct {
	platform.Database
	readingRow
	Zone           string
	LeaderName     string
	ForkedFrom     string
	ReplacedBy     string
	FollowerCount  int
	Attachments    []string
	AttachedTo     []int64
	OperationID    *int64
	OperationKind  string
	OperationState string
	OperationStep  string
	OperationStuck bool
	OperationWaits bool
	NextID         int64
	NextKind       platform.MaintenanceKind
	NextState      platform.MaintenanceState
	NextFrom       string
	NextTo         string
	NextAt         *time.Time
}

// databaseFamilyRow is a row of few: the server's columns make a list of hundreds
// slower, and nobody reads them there.
type databaseFamilyRow struct {
	databaseListRow
	joinedServer
}

// ListDatabases is the databases that access sees, by app and name, leaders
// before the followers they are listed with, in one query whatever their
// number. A database is seen by whoever sees its app, or one that it is attached
// to; all attachments only by those of its app.
func ListDatabases(ctx context.Context, q Querier, access platform.Access, f DatabaseFilter) ([]DatabaseListRow, error) {
	ask := askFor(access)
	where := ask.seesDatabase("d.id")
	if f.AppID != 0 {
		app := ask.arg(f.AppID)
		where += " and (d.app_id = " + app + " or exists (select from attachments x where x.database_id = d.id and x.app_id = " + app + "))"
	}
	if text := likePart(f.Text); text != "" {
		part := ask.arg(text)
		where += " and (d.name ilike " + part + " or d.plan ilike " + part + " or a.name ilike " + part + ")"
	}
	// The followers and attachments of all databases are gathered once, those of a
	// few one by one.
	one, followed, attached, server := "", "", "", ""
	switch {
	case f.LeaderID != 0:
		leader := ask.arg(f.LeaderID)
		where += " and (d.id = " + leader + " or d.following_id = " + leader + " and d.state <> 'destroyed')"
	case f.Name != "":
		where += " and d.name = " + ask.arg(f.Name)
	case !f.Destroyed:
		where += " and d.state <> 'destroyed'"
	}
	if f.LeaderID != 0 || f.Name != "" {
		one, followed, attached = "lateral ", "and following_id = d.id", "where s.database_id = d.id"
		server = ", " + joinedServerColumns
	}
	limit := ""
	if f.Limit > 0 {
		limit = " limit " + ask.arg(f.Limit)
	}
	sql := `select ` + databaseColumns + `, ` + readingColumns + server + `,
			coalesce(v.zone, '') as zone,
			coalesce(leader.name, '') as leader_name,
			coalesce(parent.name, '') as forked_from,
			coalesce(successor.name, '') as replaced_by,
			coalesce(f.followers, 0) as follower_count,
			coalesce(t.names, '{}') as attachments, coalesce(t.apps, '{}') as attached_to,
			o.id as operation_id, coalesce(o.kind, '') as operation_kind, coalesce(o.state, '') as operation_state,
			coalesce(st.name, '') as operation_step, coalesce(o.needs_person, false) as operation_stuck,
			coalesce(o.state = 'running' and not o.needs_person and m.operation_id = o.id and m.state in ('ready', 'scheduled'), false) as operation_waits,
			coalesce(m.id, 0) as next_id, coalesce(m.kind, '') as next_kind, coalesce(m.state, '') as next_state,
			coalesce(m.from_plan, '') as next_from, coalesce(m.to_plan, '') as next_to, m.scheduled_at as next_at
		from databases d
		join apps a on a.id = d.app_id
		left join servers v on v.id = d.server_id
		left join databases leader on leader.id = d.following_id
		left join databases parent on parent.id = d.forked_from_id
		left join databases successor on successor.id = d.replaced_by_id
		left join readings r on r.database_id = d.id
		left join ` + one + `(select following_id, count(*) as followers from databases
			where following_id is not null and state <> 'destroyed' ` + followed + ` group by following_id) f on f.following_id = d.id
		left join ` + one + attachmentsOf(ask, attached) + ` t on t.database_id = d.id
		left join operation_claims c on c.database_id = d.id
		left join operations o on o.id = c.operation_id
		left join maintenances m on m.database_id = d.id and ` + openMaintenance + `
		left join lateral (select s.name from operation_steps s
			where s.operation_id = o.id and s.state = 'running' order by s.position limit 1) st on true
		where ` + where + `
		order by a.name, coalesce(leader.name, d.name), d.following_id nulls first, d.name` + limit
	if server == "" {
		rows, err := many[databaseListRow](ctx, q, sql, ask.args...)
		return listOf(rows, databaseListRow.row), err
	}
	rows, err := many[databaseFamilyRow](ctx, q, sql, ask.args...)
	return listOf(rows, func(r databaseFamilyRow) DatabaseListRow {
		row := r.row()
		row.Server = r.server()
		return row
	}), err
}

func listOf[R any](rows []R, row func(R) DatabaseListRow) []DatabaseListRow {
	list := make([]DatabaseListRow, len(rows))
	for i, r := range rows {
		list[i] = row(r)
	}
	return list
}

func (r databaseListRow) row() DatabaseListRow {
	row := DatabaseListRow{
		Database: r.Database, Reading: r.reading(), Zone: r.Zone, LeaderName: r.LeaderName, ForkedFrom: r.ForkedFrom, ReplacedBy: r.ReplacedBy,
		FollowerCount: r.FollowerCount, Attachments: r.Attachments, AttachedTo: r.AttachedTo,
	}
	if r.OperationID != nil {
		row.Operation = &OpenOperation{
			ID: *r.OperationID, Kind: platform.OperationKind(r.OperationKind),
			State: platform.OperationState(r.OperationState), Step: r.OperationStep, NeedsPerson: r.OperationStuck, Waits: r.OperationWaits,
		}
	}
	if r.NextID != 0 {
		m := platform.Maintenance{Kind: r.NextKind, FromPlan: r.NextFrom, ToPlan: r.NextTo}
		row.Next = &NextMaintenance{ID: r.NextID, State: r.NextState, Title: m.Title(), ScheduledAt: r.NextAt}
	}
	return row
}

// DatabaseUse is a database with what the list of apps says of it.
type DatabaseUse struct {
	Name, Plan string
	AppID      int64
	State      platform.DatabaseState
	AttachedTo []int64 // apps
}

// DatabaseUses are those that ListDatabases lists, in its order.
func DatabaseUses(ctx context.Context, q Querier, access platform.Access) ([]DatabaseUse, error) {
	ask := askFor(access)
	return many[DatabaseUse](ctx, q, `select d.name, d.plan, d.app_id, d.state, coalesce(t.apps, '{}') as attached_to
		from databases d join apps a on a.id = d.app_id
		left join databases leader on leader.id = d.following_id
		left join (select database_id, array_agg(app_id) as apps from attachments group by database_id) t on t.database_id = d.id
		where d.state <> 'destroyed' and `+ask.seesDatabase("d.id")+`
		order by a.name, coalesce(leader.name, d.name), d.following_id nulls first, d.name`, ask.args...)
}

// attachmentsOf is a subquery of databases with the apps of their attachments and
// the names that are seen, in their order: all of them by those of its app.
func attachmentsOf(ask *asking, where string) string {
	seen := "true"
	if !ask.all {
		seen = ask.seesApp("s.app_id") + " or " + ask.seesApp("s.owner_id")
	}
	return `(select s.database_id, array_agg(s.app_id) as apps, array_agg(s.name) filter (where ` + seen + `) as names
		from (select t.database_id, t.app_id, x.app_id as owner_id, ta.name || '::' || t.name as name
			from attachments t join apps ta on ta.id = t.app_id join databases x on x.id = t.database_id
			order by t.database_id, ta.name, t.name) s ` + where + ` group by s.database_id)`
}

// DatabaseWithServer is a database and the server that is it now.
type DatabaseWithServer struct {
	Database platform.Database
	Server   platform.Server
}

// ListRunning is every database whose server should run now, with it, oldest
// first: what the monitor reads.
func ListRunning(ctx context.Context, q Querier) ([]DatabaseWithServer, error) {
	type row struct {
		platform.Database
		joinedServer
	}
	rows, err := many[row](ctx, q, `select `+databaseColumns+`, `+joinedServerColumns+`
		from databases d join apps a on a.id = d.app_id join servers v on v.id = d.server_id
		where v.state = 'running' and d.state <> 'destroyed'
			and (v.database_id is not null or d.state not in ('creating', 'destroying')) -- it may not be in its cluster yet, or any more
		order by d.id`)
	if err != nil {
		return nil, err
	}
	list := make([]DatabaseWithServer, len(rows))
	for i, r := range rows {
		list[i] = DatabaseWithServer{r.Database, *r.server()}
	}
	return list, nil
}
