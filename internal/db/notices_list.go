package db

import (
	"context"

	"changeover/internal/platform"
)

// NoticeFilter narrows the feed; the zero value is all of it.
type NoticeFilter struct {
	DatabaseID  int64
	AppID       int64 // also what is about a database that is billed to it
	OperationID int64
	Level       platform.NoticeLevel
	Kind        platform.NoticeKind
	UnreadOnly  bool
	BeforeID    int64 // older than this one: the next page
	UpToID      int64 // this one and older
	Limit       int   // 0: 50
}

// about is the part of the filter that holds for sums of notices, too.
func (f NoticeFilter) about(ask *asking) (sql string) {
	if f.DatabaseID != 0 {
		sql += ` and n.database_id = ` + ask.arg(f.DatabaseID)
	}
	if f.AppID != 0 {
		app := ask.arg(f.AppID)
		sql += ` and (n.app_id = ` + app + ` or n.database_id in (select x.id from databases x where x.app_id = ` + app + `))`
	}
	return sql
}

// aboutPart is about for the parts p of notices about several databases.
func (f NoticeFilter) aboutPart(ask *asking) (sql string) {
	if f.DatabaseID != 0 {
		sql += ` and p.database_id = ` + ask.arg(f.DatabaseID)
	}
	if f.AppID != 0 {
		app := ask.arg(f.AppID)
		sql += ` and (p.app_id = ` + app + ` or p.database_id in (select x.id from databases x where x.app_id = ` + app + `))`
	}
	return sql
}

// seen is whether the user $1 sees the notice n and it is about what is asked for.
func (f NoticeFilter) seen(ask *asking) string {
	about := f.about(ask)
	own := ask.seesNotice() + about
	if ask.all && about == "" {
		return own // those about several are about no app, which administrators see
	}
	several := `select p.notice_id from notice_databases p where ` + ask.seesPart() + f.aboutPart(ask)
	if about == "" {
		return `(` + own + ` or n.id in (` + several + `))`
	}
	// Two lists, so that each is found by its index.
	return `n.id in (select n.id from notices n where ` + own + ` union all ` + several + `)`
}

// sums are how many notices the user $1 sees that are about what is asked for, and
// how many of them the user has read.
func (f NoticeFilter) sums(ask *asking) (all, read string) {
	about := f.about(ask)
	all = `(select coalesce(sum(n.n), 0) from notice_sums n where ` + ask.seesNotice() + about + `)`
	read = `(select coalesce(sum(n.n), 0) from notice_read_sums n where n.reader_id = $1 and ` + ask.seesNotice() + about + `)`
	if ask.all && about == "" {
		return all, read
	}
	several := `notice_databases p where ` + ask.seesPart() + f.aboutPart(ask)
	return `(` + all + ` + (select count(distinct p.notice_id) from ` + several + `))`,
		`(` + read + ` + (select count(*) from notice_reads r where r.user_id = $1 and r.notice_id in (select p.notice_id from ` + several + `)))`
}

// kept is whether the user $1 sees the notice n and the filter keeps it.
func (f NoticeFilter) kept(ask *asking) string {
	sql := f.seen(ask)
	if f.OperationID != 0 {
		sql += ` and n.operation_id = ` + ask.arg(f.OperationID)
	}
	if f.Level != "" {
		sql += ` and n.level = ` + ask.arg(f.Level)
	}
	if f.Kind != "" {
		sql += ` and n.kind = ` + ask.arg(f.Kind)
	}
	if f.UnreadOnly {
		sql += ` and not exists (select from notice_reads x where x.user_id = $1 and x.notice_id = n.id)`
	}
	if f.BeforeID != 0 {
		sql += ` and n.id < ` + ask.arg(f.BeforeID)
	}
	if f.UpToID != 0 {
		sql += ` and n.id <= ` + ask.arg(f.UpToID)
	}
	return sql
}

// ListNotices is the feed of a user with that access, newest first. A notice is
// seen by whoever sees its app or its database; one about neither, by
// administrators; one that is somebody's own, by that person alone.
func ListNotices(ctx context.Context, q Querier, userID int64, access platform.Access, f NoticeFilter) ([]Notice, error) {
	ask := askFor(access, userID)
	kept := f.kept(ask)
	if f.UnreadOnly { // where everything was read, nothing is looked through
		all, read := f.sums(ask)
		kept += ` and ` + all + ` > ` + read
	}
	list, err := many[Notice](ctx, q, `select `+noticeColumns+fromNotices+` where `+kept+` order by n.id desc limit `+ask.arg(limitOr(f.Limit, 50)), ask.args...)
	if err != nil {
		return nil, err
	}
	_, err = showSeveral(ctx, q, access, list)
	return list, err
}

// NoticeCounts are of what a filter keeps.
type NoticeCounts struct {
	Total  int
	Unread int
	Newer  int // than a notice
}

// CountNotices counts what the filter keeps, and of it what is newer than a notice.
func CountNotices(ctx context.Context, q Querier, userID int64, access platform.Access, f NoticeFilter, than int64) (NoticeCounts, error) {
	ask := askFor(access, userID)
	kept, newerThan := f.kept(ask), ask.arg(than)
	if f != (NoticeFilter{DatabaseID: f.DatabaseID, AppID: f.AppID, Limit: f.Limit}) {
		return one[NoticeCounts](ctx, q, nil, `select count(*)::int as total, count(*) filter (where r.user_id is null)::int as unread,
				count(*) filter (where n.id > `+newerThan+`)::int as newer
			from notices n left join notice_reads r on r.notice_id = n.id and r.user_id = $1 where `+kept, ask.args...)
	}
	// What sums can tell is not counted; of newer and older ones, the fewer are.
	all, read := f.sums(ask)
	return one[NoticeCounts](ctx, q, nil, `select total::int, (total - `+read+`)::int as unread, (case
			when `+newerThan+`::bigint = 0 then total
			when `+newerThan+` > (select (min(id) + max(id)) / 2 from notices) then (select count(*) from notices n where `+kept+` and n.id > `+newerThan+`)
			else total - (select count(*) from notices n where `+kept+` and n.id <= `+newerThan+`) end)::int as newer
		from (select `+all+` as total) t`, ask.args...)
}

// MarkNoticesRead marks everything read that the filter keeps.
func MarkNoticesRead(ctx context.Context, q Querier, userID int64, access platform.Access, f NoticeFilter) error {
	ask := askFor(access, userID)
	_, err := exec(ctx, q, `with marked as (
			insert into notice_reads (user_id, notice_id)
			select $1, n.id from notices n where `+f.kept(ask)+` on conflict do nothing returning 1)
		select pg_notify('live', `+ask.arg(LiveReads(userID))+`) from (select from marked limit 1) m`, ask.args...)
	return err
}

// UnreadNotices is how many notices the user sees and has not read.
func UnreadNotices(ctx context.Context, q Querier, userID int64, access platform.Access) (int, error) {
	n, err := CountNotices(ctx, q, userID, access, NoticeFilter{}, 0)
	return n.Unread, err
}

// NoticeChoices are the apps and databases that a reader can narrow the feed to.
type NoticeChoices struct {
	Apps, Databases []string
}

// NoticeChoicesOf are those that a user with that access sees a notice about.
func NoticeChoicesOf(ctx context.Context, q Querier, access platform.Access) (NoticeChoices, error) {
	ask := askFor(access)
	return one[NoticeChoices](ctx, q, nil, `select
		array(select a.name from apps a where `+ask.seesApp("a.id")+`
			and a.id in (select app_id from notice_sums group by app_id having sum(n) > 0 union all select app_id from notice_databases) order by a.name) as apps,
		array(select x.name from databases x where `+ask.seesDatabase("x.id")+`
			and x.id in (select database_id from notice_sums group by database_id having sum(n) > 0 union all select database_id from notice_databases) order by x.name) as databases`, ask.args...)
}

// FoldNoticeSums adds up the rows of the sums of notices that changes have left;
// it can run beside anything, and beside itself. Each change of before it is in
// the one row or in its own, never in both.
func FoldNoticeSums(ctx context.Context, q Querier) error {
	for _, sql := range []string{
		`with old as (
				delete from notice_sums where ctid = any(array(
					select unnest(array_agg(ctid)) from notice_sums group by app_id, database_id, user_id having count(*) > 1)) returning *)
			insert into notice_sums select app_id, database_id, user_id, sum(n) from old group by 1, 2, 3 having sum(n) <> 0`,
		`with old as (
				delete from notice_read_sums where ctid = any(array(
					select unnest(array_agg(ctid)) from notice_read_sums group by reader_id, app_id, database_id, user_id having count(*) > 1)) returning *)
			insert into notice_read_sums select reader_id, app_id, database_id, user_id, sum(n) from old group by 1, 2, 3, 4 having sum(n) <> 0`,
	} {
		if _, err := exec(ctx, q, sql); err != nil {
			return err
		}
	}
	return nil
}

func limitOr(limit, fallback int) int {
	if limit <= 0 {
		return fallback
	}
	return limit
}
