package db

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/platform"
)

// NewNotice is a message for the feed.
type NewNotice struct {
	Kind        platform.NoticeKind
	Level       platform.NoticeLevel // the kind's when empty
	DatabaseID  *int64
	AppID       *int64
	OperationID *int64
	// UserID makes it one person's own: nobody else sees it.
	UserID  *int64
	Subject string
	Body    string
	Figures []platform.Figure
	// Several makes it a notice about several databases, each reader's with those
	// that they see; DatabaseID and AppID are nil. See platform.SeveralNotice.
	Several []NewNoticePart
	// Once, where it is set, names the event that the notice is about: there is
	// never a second notice of the same name. Without it an operation has one
	// notice of a kind for each run.
	Once string
}

// CreateNotice puts a notice into the feed and returns its id; it belongs in the
// transaction of what it tells, so that neither is without the other. An
// operation's second notice of the same kind about the same database in one run
// is the first one again, with the first one's text: a step may run twice. A
// retry is another run. The id is 0 for one that another transaction gives
// right now. Mails and webhooks follow by themselves, once it is committed.
func CreateNotice(ctx context.Context, q Querier, n NewNotice) (int64, error) {
	info, known := platform.KnownNotice(n.Kind)
	if !known {
		return 0, fmt.Errorf("there is no notice of kind %q; platform.NoticeKinds has those that there are", n.Kind)
	}
	if n.Level == "" {
		n.Level = info.Level
	}
	if n.Figures == nil {
		n.Figures = []platform.Figure{}
	}
	databases, after := partsArgs(n.Several)
	return value[int64](ctx, q, nil, `with known as (
			select n.id from notices n join operations o on o.id = n.operation_id
			where $8 = '' and n.operation_id = $5 and n.kind = $1 and n.database_id is not distinct from $3
				and n.at >= coalesce(o.started_at, o.requested_at)
			union all select id from notices where $8 <> '' and once = $8 limit 1),
		added as (
			insert into notices (kind, level, database_id, app_id, operation_id, subject, body, once, user_id, figures, several)
			select $1, $2, $3, $4, $5, $6, $7, nullif($8, ''), $9, $10, cardinality($11::bigint[]) > 0 where not exists (select from known)
			on conflict on constraint notices_once_key do nothing returning id, database_id),
		parts as (
			insert into notice_databases (notice_id, database_id, app_id, after_ms)
			select a.id, p.database_id, d.app_id, p.after_ms
			from added a, unnest($11::bigint[], $12::bigint[]) p (database_id, after_ms) join databases d on d.id = p.database_id
			returning database_id),
		told as (
			select pg_notify('live', 'notice:' || id), pg_notify('live', 'rail') from added),
		told_of as (
			select count(pg_notify('live', 'database:' || database_id)) from (
				select database_id from added where database_id is not null union all select database_id from parts) about)
		select added.id from added left join told on true left join told_of on true union all select id from known
		union all select 0 where not exists (select from added) and not exists (select from known)`,
		n.Kind, n.Level, n.DatabaseID, n.AppID, n.OperationID, n.Subject, n.Body, n.Once, n.UserID, n.Figures, databases, after)
}

// Notice is a notice as one user sees it.
type Notice struct {
	ID           int64
	At           time.Time
	Kind         platform.NoticeKind
	Level        platform.NoticeLevel
	DatabaseID   *int64
	DatabaseName string
	AppID        *int64
	AppName      string
	OperationID  *int64
	UserID       *int64 // whose own it is
	Subject      string
	Body         string
	Figures      []platform.Figure
	Several      bool // about several databases; Subject, Body, Level and Figures are of those that the reader sees
	Read         bool
}

const noticeColumns = `n.id, n.at, n.kind, n.level, n.database_id, coalesce(d.name, '') as database_name,
	n.app_id, coalesce(a.name, '') as app_name, n.operation_id, n.user_id, n.subject, n.body, n.figures, n.several, r.user_id is not null as read`

const fromNotices = ` from notices n left join databases d on d.id = n.database_id left join apps a on a.id = n.app_id
	left join notice_reads r on r.notice_id = n.id and r.user_id = $1 `

// notOthers keeps what is somebody else's own out; $1 is the user.
const notOthers = ` (n.user_id is null or n.user_id = $1) `

// NoticeByID is one notice as the user sees it with that access. Whether they may
// see it at all is for the caller to ask, but for another person's own and one
// about several databases of which they see none, which are NotFound.
func NoticeByID(ctx context.Context, q Querier, userID int64, access platform.Access, id int64) (Notice, error) {
	n, err := one[Notice](ctx, q, noNotice(), `select `+noticeColumns+fromNotices+`where n.id = $2 and`+notOthers, userID, id)
	if err != nil {
		return n, err
	}
	list := []Notice{n}
	unseen, err := showSeveral(ctx, q, access, list)
	if err == nil && unseen > 0 {
		err = noNotice()
	}
	return list[0], err
}

// SetNoticeRead marks a notice read or unread for the user.
func SetNoticeRead(ctx context.Context, q Querier, userID, id int64, read bool) error {
	change := `delete from notice_reads where user_id = $1 and notice_id = $2`
	if read {
		change = `insert into notice_reads (user_id, notice_id) select $1, id from found on conflict do nothing`
	}
	return mustTouch(ctx, q, noNotice(), `with found as (select n.id from notices n where n.id = $2 and`+notOthers+`), marked as (`+change+`)
		select pg_notify('live', $3) from found`, userID, id, LiveReads(userID))
}

// DeleteOldNotices forgets notices of before the time, with who read them and
// what was delivered; at most a number at once. It returns how many it forgot.
func DeleteOldNotices(ctx context.Context, q Querier, before time.Time, most int) (int64, error) {
	return exec(ctx, q, `delete from notices where id in (select id from notices where at < $1 order by at limit $2)`, before, most)
}

func noNotice() error {
	return platform.NotFound("There is no such notice. Go back to the list of notices.")
}
