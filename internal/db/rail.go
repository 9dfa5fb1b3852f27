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

// RailOf is the rail as one user sees it. Every page asks for it, so it is one
// round trip for the counts and one for what runs.
func RailOf(ctx context.Context, q Querier, userID int64) (Rail, error) {
	type counts struct{ Apps, Databases, Maintenances, UnreadNotices int }
	n, err := one[counts](ctx, q, nil, `select
		(select count(*) from apps where destroyed_at is null)::int as apps,
		(select count(*) from databases where state <> 'destroyed')::int as databases,
		(select count(*) from maintenances m where `+openMaintenance+`)::int as maintenances,
		((select count(*) from notices) - (select count(*) from notice_reads where user_id = $1))::int as unread_notices`, userID)
	if err != nil {
		return Rail{}, err
	}
	running, err := many[RunningOperation](ctx, q, `
		select o.id, o.kind, o.state, d.name as database_name, o.reason, o.needs_person,
			coalesce(s.detail, '') as step_detail, coalesce(s.position + 1, 0) as step, coalesce(n.steps, 0)::int as steps
		from operations o join databases d on d.id = o.database_id
		left join lateral (select position, detail from operation_steps s
			where s.operation_id = o.id and s.state in ('running', 'done', 'failed') order by s.position desc limit 1) s on true
		left join lateral (select count(*) as steps from operation_steps s where s.operation_id = o.id) n on true
		where o.state in ('running', 'undoing') order by o.id`)
	return Rail{Apps: n.Apps, Databases: n.Databases, Maintenances: n.Maintenances, UnreadNotices: n.UnreadNotices, Running: running}, err
}
