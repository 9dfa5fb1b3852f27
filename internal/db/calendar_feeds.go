package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// CalendarFeed is a person's address under which calendars fetch the
// maintenances that the person may see.
type CalendarFeed struct {
	UserID        int64
	CreatedAt     time.Time
	LastFetchedAt *time.Time // at most a minute old
}

// CreateCalendarFeed makes the user's feed and returns its token, once. A feed
// of before ends: its address does not answer any more.
func CreateCalendarFeed(ctx context.Context, q Querier, userID int64) (token string, err error) {
	token = newToken()
	_, err = exec(ctx, q, `insert into calendar_feeds (user_id, token_hash) values ($1, $2)
		on conflict (user_id) do update set token_hash = excluded.token_hash, created_at = now(), last_fetched_at = null`, userID, tokenHash(token))
	return token, err
}

// CalendarFeedOf is the user's feed; ok is false where there is none.
func CalendarFeedOf(ctx context.Context, q Querier, userID int64) (f CalendarFeed, ok bool, err error) {
	list, err := many[CalendarFeed](ctx, q, `select user_id, created_at, last_fetched_at from calendar_feeds where user_id = $1`, userID)
	if err != nil || len(list) == 0 {
		return f, false, err
	}
	return list[0], true, nil
}

// FindCalendarFeed is whose feed the token opens; NotFound for one that opens
// none, or none any more. That it was fetched is written at most once a minute.
func FindCalendarFeed(ctx context.Context, q Querier, token string) (CalendarFeed, error) {
	return one[CalendarFeed](ctx, q, noCalendarFeed(), `with found as (
			select user_id, created_at, last_fetched_at from calendar_feeds where token_hash = $1),
		touched as (
			update calendar_feeds set last_fetched_at = now() where user_id = (
				select user_id from found where last_fetched_at is null or last_fetched_at < now() - interval '1 minute'))
		select * from found`, tokenHash(token))
}

// DeleteCalendarFeed ends the user's feed.
func DeleteCalendarFeed(ctx context.Context, q Querier, userID int64) error {
	return mustTouch(ctx, q, noCalendarFeed(), `delete from calendar_feeds where user_id = $1`, userID)
}

func noCalendarFeed() error {
	return platform.NotFound("There is no calendar feed at this address, or it was revoked. Make a new one under Maintenances, iCal feed.")
}

// CalendarEvent is a maintenance as a calendar keeps it.
type CalendarEvent struct {
	platform.Maintenance
	CalendarUID string
	Revision    int // grows with every change
	ChangedAt   time.Time
}

// CalendarEvents are the maintenances that have a time or have run, and did
// not end before since: those to come first, then the newest.
func CalendarEvents(ctx context.Context, q Querier, f MaintenanceFilter, since time.Time) ([]CalendarEvent, error) {
	all, apps := f.sight()
	return many[CalendarEvent](ctx, q, `select `+maintenanceColumns+`, m.calendar_uid::text as calendar_uid, m.revision, m.changed_at`+fromMaintenances+`
		where `+seenMaintenances+` and (m.scheduled_at is not null or m.started_at is not null) and (m.ended_at is null or m.ended_at >= $3)
		order by m.ended_at is not null, coalesce(m.scheduled_at, m.started_at) desc, m.id limit $4`, all, apps, since, limitOr(f.Limit, 100))
}
