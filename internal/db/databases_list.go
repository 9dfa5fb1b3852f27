package db

import (
	"context"
	"strconv"
	"strings"
	"time"

	"changeover/internal/platform"
)

// DatabaseListRow is a database with what the list of databases shows of it.
type DatabaseListRow struct {
	Database      platform.Database
	Reading       Reading // Known is false when it was never read
	Zone          string  // empty without a server
	LeaderName    string  // of a follower
	ForkedFrom    string  // name, of a fork
	ReplacedBy    string  // name of the database that took its place
	FollowerCount int
	Attachments   []string // "sushi::DATABASE", by name; those that access sees
	// AttachedTo are the apps of all its attachments.
	AttachedTo []int64
	// Operation is the one that holds the database now; nil when none does.
	Operation *OpenOperation
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
}

// ListDatabases is the databases that access sees, by app and name, leaders
// before the followers they are listed with, in one query whatever their
// number. A database is seen by whoever sees its app, or one that it is attached
// to; all attachments only by those of its app.
func ListDatabases(ctx context.Context, q Querier, access platform.Access, f DatabaseFilter) ([]DatabaseListRow, error) {
	all, apps := sight(access)
	args := []any{all, apps}
	where := "($1 or d.app_id = any($2) or exists (select from attachments x where x.database_id = d.id and x.app_id = any($2)))"
	// What is not asked for is left out, so that each question is planned for what it is.
	and := func(condition string, arg any) {
		args = append(args, arg)
		where += " and (" + strings.ReplaceAll(condition, "$n", "$"+strconv.Itoa(len(args))) + ")"
	}
	if f.AppID != 0 {
		and("d.app_id = $n or exists (select from attachments x where x.database_id = d.id and x.app_id = $n)", f.AppID)
	}
	if text := likePart(f.Text); text != "" {
		and("d.name ilike $n or d.plan ilike $n or a.name ilike $n", text)
	}
	if f.LeaderID != 0 {
		and("d.id = $n or d.following_id = $n and d.state <> 'destroyed'", f.LeaderID)
	}
	if f.Name != "" {
		and("d.name = $n", f.Name)
	}
	if !f.Destroyed && f.Name == "" && f.LeaderID == 0 {
		where += " and d.state <> 'destroyed'"
	}
	args = append(args, f.Limit)
	rows, err := many[databaseListRow](ctx, q, `select `+databaseColumns+`, `+readingColumns+`,
			coalesce(v.zone, '') as zone,
			coalesce(leader.name, '') as leader_name,
			coalesce(parent.name, '') as forked_from,
			coalesce(successor.name, '') as replaced_by,
			(select count(*) from databases f where f.following_id = d.id and f.state <> 'destroyed') as follower_count,
			coalesce(t.names, '{}') as attachments, coalesce(t.apps, '{}') as attached_to,
			o.id as operation_id, coalesce(o.kind, '') as operation_kind, coalesce(o.state, '') as operation_state,
			coalesce(st.name, '') as operation_step, coalesce(o.needs_person, false) as operation_stuck
		from databases d
		join apps a on a.id = d.app_id
		left join servers v on v.id = d.server_id
		left join databases leader on leader.id = d.following_id
		left join databases parent on parent.id = d.forked_from_id
		left join databases successor on successor.id = d.replaced_by_id
		left join readings r on r.database_id = d.id
		left join lateral (select array_agg(distinct t.app_id) as apps,
				array_agg(ta.name || '::' || t.name order by ta.name, t.name)
					filter (where $1 or t.app_id = any($2) or d.app_id = any($2)) as names
			from attachments t join apps ta on ta.id = t.app_id where t.database_id = d.id) t on true
		left join operation_claims c on c.database_id = d.id
		left join operations o on o.id = c.operation_id
		left join lateral (select s.name from operation_steps s
			where s.operation_id = o.id and s.state = 'running' order by s.position limit 1) st on true
		where `+where+`
		order by a.name, coalesce(leader.name, d.name), d.following_id nulls first, d.name
		limit nullif($`+strconv.Itoa(len(args))+`, 0)`, args...)
	if err != nil {
		return nil, err
	}
	list := make([]DatabaseListRow, len(rows))
	for i, r := range rows {
		list[i] = DatabaseListRow{
			Database: r.Database, Reading: r.reading(), Zone: r.Zone, LeaderName: r.LeaderName, ForkedFrom: r.ForkedFrom, ReplacedBy: r.ReplacedBy,
			FollowerCount: r.FollowerCount, Attachments: r.Attachments, AttachedTo: r.AttachedTo,
		}
		if r.OperationID != nil {
			list[i].Operation = &OpenOperation{
				ID: *r.OperationID, Kind: platform.OperationKind(r.OperationKind),
				State: platform.OperationState(r.OperationState), Step: r.OperationStep, NeedsPerson: r.OperationStuck,
			}
		}
	}
	return list, nil
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
		VID, VDatabaseID int64
		VZone, VPlan     string
		VPort, VMajor    int
		VState           platform.ServerState
		VFenced, VShared bool
		VLeaderID        *int64
		VCreatedAt       time.Time
	}
	rows, err := many[row](ctx, q, `select `+databaseColumns+`, v.id as v_id, coalesce(v.database_id, 0) as v_database_id,
			v.database_id is null as v_shared, v.zone as v_zone,
			v.port as v_port, v.major as v_major, v.plan as v_plan, v.state as v_state, v.fenced as v_fenced,
			v.leader_id as v_leader_id, v.created_at as v_created_at
		from databases d join apps a on a.id = d.app_id join servers v on v.id = d.server_id
		where v.state = 'running' and d.state <> 'destroyed'
			and (v.database_id is not null or d.state not in ('creating', 'destroying')) -- it may not be in its cluster yet, or any more
		order by d.id`)
	if err != nil {
		return nil, err
	}
	list := make([]DatabaseWithServer, len(rows))
	for i, r := range rows {
		list[i] = DatabaseWithServer{r.Database, platform.Server{
			ID: r.VID, DatabaseID: r.VDatabaseID, Shared: r.VShared, Zone: r.VZone, Port: r.VPort, Major: r.VMajor, Plan: r.VPlan,
			Fenced: r.VFenced, LeaderID: r.VLeaderID, State: r.VState, CreatedAt: r.VCreatedAt,
		}}
	}
	return list, nil
}
