package db

import (
	"context"

	"changeover/internal/platform"
)

// Rail is what stands beside every page: counts, and what is running now.
type Rail struct {
	Apps, Databases int
	Maintenances    int // to come
	UnreadNotices   int
	Running         []RunningOperation // oldest first
}

// RunningOperation is an open operation with where it is.
type RunningOperation struct {
	ID           int64
	Kind         platform.OperationKind
	State        platform.OperationState
	DatabaseName string
	Reason       string
	StepDetail   string // of the step that runs
	Step         int    // the running step, 1 for the first; 0 before the first
	Steps        int
	NeedsPerson  bool
}

// RailOf is the rail as one user with that access sees it, in one question:
// every page asks for it.
func RailOf(ctx context.Context, q Querier, userID int64, access platform.Access) (Rail, error) {
	type row struct {
		Apps, Databases, Maintenances, UnreadNotices int
		RunningOperation
	}
	ask := askFor(access, userID)
	notices, read := NoticeFilter{}.sums(ask)
	seesRunning := "true"
	if !ask.all {
		seesRunning = `(` + ask.seesApp("d.app_id") + ` or exists (select from databases x where x.id = o.target_id and ` + ask.seesApp("x.app_id") + `)
			or exists (select from attachments t where t.database_id in (o.database_id, o.target_id) and ` + ask.seesApp("t.app_id") + `))`
	}
	rows, err := many[row](ctx, q, `select counts.*, coalesce(running.id, 0) as id, coalesce(kind, '') as kind, coalesce(state, '') as state,
			coalesce(database_name, '') as database_name, coalesce(reason, '') as reason, coalesce(needs_person, false) as needs_person,
			coalesce(step_detail, '') as step_detail, coalesce(step, 0) as step, coalesce(steps, 0) as steps
		from (select
			(select count(*) from apps where destroyed_at is null and `+ask.seesApp("id")+`)::int as apps,
			(select count(*) from databases x where x.state <> 'destroyed' and `+ask.seesDatabase("x.id")+`)::int as databases,
			(select count(*) from maintenances m where `+openMaintenance+` and `+ask.seesDatabase("m.database_id")+`)::int as maintenances,
			(`+notices+` - `+read+`)::int as unread_notices) counts
		left join (
			select o.id, o.kind, o.state, d.name as database_name, o.reason, o.needs_person,
				s.detail as step_detail, s.position + 1 as step, n.steps::int as steps
			from operations o join databases d on d.id = o.database_id
			left join lateral (select position, detail from operation_steps s
				where s.operation_id = o.id and s.state in ('running', 'done', 'failed') order by s.position desc limit 1) s on true
			left join lateral (select count(*) as steps from operation_steps s where s.operation_id = o.id) n on true
			where o.state in ('running', 'undoing') and `+seesRunning+`) running on true
		order by running.id`, ask.args...)
	if err != nil || len(rows) == 0 {
		return Rail{}, err
	}
	rail := Rail{Apps: rows[0].Apps, Databases: rows[0].Databases, Maintenances: rows[0].Maintenances, UnreadNotices: rows[0].UnreadNotices, Running: []RunningOperation{}}
	for _, r := range rows {
		if r.ID != 0 {
			rail.Running = append(rail.Running, r.RunningOperation)
		}
	}
	return rail, nil
}
