package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// NewNotice is a message for the feed. Level is ok, info, warn or bad.
type NewNotice struct {
	Kind        string
	Level       string
	DatabaseID  *int64
	AppID       *int64
	OperationID *int64
	UserID      *int64 // a notice to this person, whom alone it is shown to
	Subject     string
	Body        string
	// Once, where it is set, names the event that the notice is about: there is
	// never a second notice of the same name. Without it an operation has one
	// notice of a kind for each run.
	Once string
}

// CreateNotice puts a notice into the feed and returns its id. An operation's
// second notice of the same kind about the same database in one run is the
// first one again, with the first one's text: a step may run twice. A retry is
// another run. The id is 0 for one that another transaction gives right now.
func CreateNotice(ctx context.Context, q Querier, n NewNotice) (int64, error) {
	if n.Level == "" {
		n.Level = "info"
	}
	return value[int64](ctx, q, nil, `with known as (
			select n.id from notices n join operations o on o.id = n.operation_id
			where $8 = '' and n.operation_id = $5 and n.kind = $1 and n.database_id is not distinct from $3
				and n.at >= coalesce(o.started_at, o.requested_at)
			union all select id from notices where $8 <> '' and once = $8 limit 1),
		added as (
			insert into notices (kind, level, database_id, app_id, operation_id, subject, body, once, user_id)
			select $1, $2, $3, $4, $5, $6, $7, nullif($8, ''), $9 where not exists (select from known)
			on conflict on constraint notices_once_key do nothing returning id),
		told as (
			select pg_notify('live', 'notice:' || id), pg_notify('live', 'rail') from added)
		select id from added left join told on true union all select id from known
		union all select 0 where not exists (select from added) and not exists (select from known)`,
		n.Kind, n.Level, n.DatabaseID, n.AppID, n.OperationID, n.Subject, n.Body, n.Once, n.UserID)
}

// Notice is a notice as one user sees it.
type Notice struct {
	ID           int64
	At           time.Time
	Kind         string
	Level        string
	DatabaseID   *int64
	DatabaseName string
	AppID        *int64
	AppName      string
	OperationID  *int64
	Subject      string
	Body         string
	Read         bool
}

const noticeColumns = `n.id, n.at, n.kind, n.level, n.database_id, coalesce(d.name, '') as database_name,
	n.app_id, coalesce(a.name, '') as app_name, n.operation_id, n.subject, n.body, r.user_id is not null as read`

const fromNotices = ` from notices n left join databases d on d.id = n.database_id left join apps a on a.id = n.app_id
	left join notice_reads r on r.notice_id = n.id and r.user_id = $1 `

// NoticeFilter narrows the feed; the zero value is all of it.
type NoticeFilter struct {
	DatabaseID  int64
	AppID       int64
	OperationID int64
	Level       string
	UnreadOnly  bool
	BeforeID    int64 // older than this one: the next page
	Limit       int   // 0: 50
}

// ListNotices is the feed of a user with that access, newest first. A notice is
// seen by whoever sees its app or its database; one about neither, by
// administrators; one to a person, by that person.
func ListNotices(ctx context.Context, q Querier, userID int64, access platform.Access, f NoticeFilter) ([]Notice, error) {
	all, apps := sight(access)
	return many[Notice](ctx, q, `select `+noticeColumns+fromNotices+`
		where `+seenNotices+` and ($4::bigint = 0 or n.database_id = $4) and ($5::bigint = 0 or n.app_id = $5) and ($6::bigint = 0 or n.operation_id = $6)
			and ($7 = '' or n.level = $7) and (not $8 or r.user_id is null) and ($9::bigint = 0 or n.id < $9)
		order by n.id desc limit $10`,
		userID, all, apps, f.DatabaseID, f.AppID, f.OperationID, f.Level, f.UnreadOnly, f.BeforeID, limitOr(f.Limit, 50))
}

// NoticeByID is one notice as the user sees it.
func NoticeByID(ctx context.Context, q Querier, userID, id int64) (Notice, error) {
	return one[Notice](ctx, q, noNotice(), `select `+noticeColumns+fromNotices+`where n.id = $2`, userID, id)
}

// SetNoticeRead marks a notice read or unread for the user.
func SetNoticeRead(ctx context.Context, q Querier, userID, id int64, read bool) error {
	if read {
		return mustTouch(ctx, q, noNotice(), `with found as (select id from notices where id = $2),
			marked as (insert into notice_reads (user_id, notice_id) select $1, id from found on conflict do nothing)
			select pg_notify('live', 'rail') from found`, userID, id)
	}
	return mustTouch(ctx, q, noNotice(), `with found as (select id from notices where id = $2),
		marked as (delete from notice_reads where user_id = $1 and notice_id = $2)
		select pg_notify('live', 'rail') from found`, userID, id)
}

// MarkAllNoticesRead marks everything read that the user sees.
func MarkAllNoticesRead(ctx context.Context, q Querier, userID int64, access platform.Access) error {
	all, apps := sight(access)
	_, err := exec(ctx, q, `with marked as (
			insert into notice_reads (user_id, notice_id)
			select $1, n.id from notices n where `+seenNotices+` on conflict do nothing returning 1)
		select pg_notify('live', 'rail') from (select from marked limit 1) m`, userID, all, apps)
	return err
}

// UnreadNotices is how many notices the user sees and has not read.
func UnreadNotices(ctx context.Context, q Querier, userID int64, access platform.Access) (int, error) {
	all, apps := sight(access)
	return value[int](ctx, q, nil, `select count(*) from notices n
		where `+seenNotices+` and not exists (select from notice_reads r where r.user_id = $1 and r.notice_id = n.id)`, userID, all, apps)
}

func limitOr(limit, fallback int) int {
	if limit <= 0 {
		return fallback
	}
	return limit
}

func noNotice() error {
	return platform.NotFound("There is no such notice. Go back to the list of notices.")
}
