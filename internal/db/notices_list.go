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

// filteredNotices is whether a user of $1 with an access of $2 (all) and $3
// (apps) sees the notice n, and the filter of $4 to $11 keeps it.
const filteredNotices = seenNotices + aboutNotices + `
	and ($6::bigint = 0 or n.operation_id = $6) and ($7 = '' or n.level = $7) and ($8 = '' or n.kind = $8)
	and (not $9 or not exists (select from notice_reads x where x.user_id = $1 and x.notice_id = n.id))
	and ($10::bigint = 0 or n.id < $10) and ($11::bigint = 0 or n.id <= $11)`

// aboutNotices is the part of it that is true of sums of notices, too.
const aboutNotices = ` and ($4::bigint = 0 or n.database_id = $4)
	and ($5::bigint = 0 or n.app_id = $5 or n.database_id in (select x.id from databases x where x.app_id = $5))`

func (f NoticeFilter) args(userID int64, access platform.Access) []any {
	all, apps := sight(access)
	return []any{userID, all, apps, f.DatabaseID, f.AppID, f.OperationID, f.Level, f.Kind, f.UnreadOnly, f.BeforeID, f.UpToID}
}

// ListNotices is the feed of a user with that access, newest first. A notice is
// seen by whoever sees its app or its database; one about neither, by
// administrators; one that is somebody's own, by that person alone.
func ListNotices(ctx context.Context, q Querier, userID int64, access platform.Access, f NoticeFilter) ([]Notice, error) {
	// Where everything was read, nothing is looked through for what was not.
	return many[Notice](ctx, q, `select `+noticeColumns+fromNotices+` where `+filteredNotices+` and (not $9 or `+unreadNotices(aboutNotices)+` > 0)
		order by n.id desc limit $12`, append(f.args(userID, access), limitOr(f.Limit, 50))...)
}

// NoticeCounts are of what a filter keeps.
type NoticeCounts struct {
	Total  int
	Unread int
	Newer  int // than a notice
}

// CountNotices counts what the filter keeps, and of it what is newer than a notice.
func CountNotices(ctx context.Context, q Querier, userID int64, access platform.Access, f NoticeFilter, than int64) (NoticeCounts, error) {
	args := append(f.args(userID, access), than)
	if f != (NoticeFilter{DatabaseID: f.DatabaseID, AppID: f.AppID, Limit: f.Limit}) {
		return one[NoticeCounts](ctx, q, nil, `select count(*)::int as total, count(*) filter (where r.user_id is null)::int as unread,
				count(*) filter (where n.id > $12)::int as newer
			from notices n left join notice_reads r on r.notice_id = n.id and r.user_id = $1 where `+filteredNotices, args...)
	}
	// What sums can tell is not counted; of newer and older ones, the fewer are.
	return one[NoticeCounts](ctx, q, nil, `select total::int, (total - `+readSum(aboutNotices)+`)::int as unread, (case
			when $12::bigint = 0 then total
			when $12 > (select (min(id) + max(id)) / 2 from notices) then (select count(*) from notices n where `+filteredNotices+` and n.id > $12)
			else total - (select count(*) from notices n where `+filteredNotices+` and n.id <= $12) end)::int as newer
		from (select `+noticeSum(aboutNotices)+` as total) t`, args...)
}

// MarkNoticesRead marks everything read that the filter keeps.
func MarkNoticesRead(ctx context.Context, q Querier, userID int64, access platform.Access, f NoticeFilter) error {
	_, err := exec(ctx, q, `with marked as (
			insert into notice_reads (user_id, notice_id)
			select $1, n.id from notices n where `+filteredNotices+` on conflict do nothing returning 1)
		select pg_notify('live', $12) from (select from marked limit 1) m`, append(f.args(userID, access), LiveReads(userID))...)
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
	all, apps := sight(access)
	return one[NoticeChoices](ctx, q, nil, `select
		array(select a.name from apps a where ($2 or a.id = any($3))
			and a.id in (select app_id from notice_sums group by app_id having sum(n) > 0) order by a.name) as apps,
		array(select d.name from databases d where ($2 or d.id in `+seenDatabases+`)
			and d.id in (select database_id from notice_sums group by database_id having sum(n) > 0) order by d.name) as databases
		where $1::bigint is null`, nil, all, apps)
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
