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

// seenDatabases is the databases that an access of $2 (all) and $3 (apps) sees.
const seenDatabases = `(select d.id from databases d where $2 or d.app_id = any($3)
	union select t.database_id from attachments t where t.app_id = any($3))`

// seenNotices is whether the user $1 of that access sees the notice n. One to
// a person is that person's alone.
const seenNotices = `case when n.user_id is null then $2 or n.app_id = any($3) or n.database_id in ` + seenDatabases + ` else n.user_id = $1 end`

// RailOf is the rail as one user with that access sees it. Every page asks for
// it, so it is one round trip for the counts and one for what runs.
func RailOf(ctx context.Context, q Querier, userID int64, access platform.Access) (Rail, error) {
	all, apps := sight(access)
	type counts struct{ Apps, Databases, Maintenances, UnreadNotices int }
	n, err := one[counts](ctx, q, nil, `select
		(select count(*) from apps where destroyed_at is null and ($2 or id = any($3)))::int as apps,
		(select count(*) from databases d where d.state <> 'destroyed' and ($2 or d.id in `+seenDatabases+`))::int as databases,
		(select count(*) from maintenances m where `+openMaintenance+` and ($2 or m.database_id in `+seenDatabases+`))::int as maintenances,
		case when $2 then (select count(*) from notices) - (select count(*) from notices where user_id <> $1) - (select count(*) from notice_reads where user_id = $1)
			else (select count(*) from notices n where `+seenNotices+`)
				- (select count(*) from notice_reads r join notices n on n.id = r.notice_id where r.user_id = $1 and `+seenNotices+`)
			end::int as unread_notices`, userID, all, apps)
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
		where o.state in ('running', 'undoing')
			and ($1 or d.app_id = any($2) or exists (select from databases x where x.id = o.target_id and x.app_id = any($2))
				or exists (select from attachments t where t.database_id in (o.database_id, o.target_id) and t.app_id = any($2)))
		order by o.id`, all, apps)
	return Rail{Apps: n.Apps, Databases: n.Databases, Maintenances: n.Maintenances, UnreadNotices: n.UnreadNotices, Running: running}, err
}
