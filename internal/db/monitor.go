package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// LastNotice is when the newest notice of the kind about the database was made.
func LastNotice(ctx context.Context, q Querier, databaseID int64, kind platform.NoticeKind) (at time.Time, found bool, err error) {
	none := platform.NotFound("There is no such notice yet.")
	at, err = value[time.Time](ctx, q, none,
		`select at from notices where database_id = $1 and kind = $2 order by id desc limit 1`, databaseID, kind)
	if err == error(none) {
		return time.Time{}, false, nil
	}
	return at, err == nil, err
}

// DeleteOldLagSamples forgets samples before the time, and what is kept of them
// over stretches of time (the widest stay for LagDays more), at most the given
// number of each follower, and returns how many it forgot. It goes by the primary
// keys: no table is ever read as a whole.
func DeleteOldLagSamples(ctx context.Context, q Querier, before time.Time, each int) (int64, error) {
	n, err := exec(ctx, q, `delete from lag_samples s
		using (select l.database_id, l.at from databases d cross join lateral
			(select database_id, at from lag_samples where database_id = d.id and at < $1 order by at limit $2) l) old
		where s.database_id = old.database_id and s.at = old.at`, before, each)
	if err != nil {
		return n, err
	}
	for i, width := range lagWidths {
		if i == len(lagWidths)-1 {
			before = before.AddDate(0, 0, -LagDays)
		}
		m, err := exec(ctx, q, `delete from lag_stretches s
			using (select l.database_id, l.at from databases d cross join lateral
				(select database_id, at from lag_stretches where database_id = d.id and width = $3 and at < $1 order by at limit $2) l) old
			where s.database_id = old.database_id and s.width = $3 and s.at = old.at`, before, each, width)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

// NoticesOnceSince are the names of the events that notices of a kind about the
// database, since a time, were given once for; each ends where the next begins.
func NoticesOnceSince(ctx context.Context, q Querier, databaseID int64, kind platform.NoticeKind, since time.Time) (string, error) {
	return value[string](ctx, q, nil, `select coalesce(string_agg(once, ''), '') from notices where database_id = $1 and kind = $2 and at >= $3`, databaseID, kind, since)
}

// TellBehind notes that people know that a follower is far behind; first is
// whether they did not before.
func TellBehind(ctx context.Context, q Querier, databaseID int64) (first bool, err error) {
	n, err := exec(ctx, q, `update readings set behind_told_at = now() where database_id = $1 and behind_told_at is null`, databaseID)
	return n > 0, err
}

// ForgetBehind lets followers that are less than so many bytes behind be told of again.
func ForgetBehind(ctx context.Context, q Querier, bytes int64) error {
	_, err := exec(ctx, q, `update readings set behind_told_at = null where behind_told_at is not null and lag_known and lag_bytes < $1`, bytes)
	return err
}
