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

// unreadNotices is how many notices the user $1 of that access has not read.
// What they are about is the condition about: of the alias n, as seenNotices.
func unreadNotices(about string) string {
	return `(` + noticeSum(about) + ` - ` + readSum(about) + `)`
}

func noticeSum(about string) string {
	return `(select coalesce(sum(n.n), 0) from notice_sums n where ` + seenNotices + about + `)`
}

func readSum(about string) string {
	return `(select coalesce(sum(n.n), 0) from notice_read_sums n where n.reader_id = $1 and ` + seenNotices + about + `)`
}

// RailOf is the rail as one user with that access sees it, in one question:
// every page asks for it.
func RailOf(ctx context.Context, q Querier, userID int64, access platform.Access) (Rail, error) {
	type row struct {
		Apps, Databases, Maintenances, UnreadNotices int
		RunningOperation
	}
	all, apps := sight(access)
	rows, err := many[row](ctx, q, `select counts.*, coalesce(running.id, 0) as id, coalesce(kind, '') as kind, coalesce(state, '') as state,
			coalesce(database_name, '') as database_name, coalesce(reason, '') as reason, coalesce(needs_person, false) as needs_person,
			coalesce(step_detail, '') as step_detail, coalesce(step, 0) as step, coalesce(steps, 0) as steps
		from (select
			(select count(*) from apps where destroyed_at is null and ($2 or id = any($3)))::int as apps,
			(select count(*) from databases d where d.state <> 'destroyed' and ($2 or d.id in `+seenDatabases+`))::int as databases,
			(select count(*) from maintenances m where `+openMaintenance+` and ($2 or m.database_id in `+seenDatabases+`))::int as maintenances,
			`+unreadNotices("")+`::int as unread_notices) counts
		left join (
			select o.id, o.kind, o.state, d.name as database_name, o.reason, o.needs_person,
				s.detail as step_detail, s.position + 1 as step, n.steps::int as steps
			from operations o join databases d on d.id = o.database_id
			left join lateral (select position, detail from operation_steps s
				where s.operation_id = o.id and s.state in ('running', 'done', 'failed') order by s.position desc limit 1) s on true
			left join lateral (select count(*) as steps from operation_steps s where s.operation_id = o.id) n on true
			where o.state in ('running', 'undoing')
				and ($2 or d.app_id = any($3) or exists (select from databases x where x.id = o.target_id and x.app_id = any($3))
					or exists (select from attachments t where t.database_id in (o.database_id, o.target_id) and t.app_id = any($3)))) running on true
		order by running.id`, userID, all, apps)
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
