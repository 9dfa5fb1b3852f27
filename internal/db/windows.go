package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// WindowOf is the database's weekly maintenance window: the one that was chosen,
// else its default.
func WindowOf(ctx context.Context, q Querier, databaseID int64) (platform.Window, error) {
	windows, err := Windows(ctx, q, []int64{databaseID})
	return windows[databaseID], err
}

// Windows are the windows of many databases, by id, in one query.
func Windows(ctx context.Context, q Querier, databaseIDs []int64) (map[int64]platform.Window, error) {
	type row struct {
		ID            int64
		WindowWeekday *int
		WindowMinute  *int
	}
	rows, err := many[row](ctx, q, `select id, window_weekday, window_minute from databases where id = any($1)`, databaseIDs)
	windows := make(map[int64]platform.Window, len(databaseIDs))
	for _, id := range databaseIDs {
		windows[id] = platform.DefaultWindow(id)
	}
	for _, r := range rows {
		if r.WindowWeekday != nil && r.WindowMinute != nil {
			windows[r.ID] = platform.Window{Weekday: time.Weekday(*r.WindowWeekday), Minute: *r.WindowMinute}
		}
	}
	return windows, err
}

// SetWindow chooses the database's window.
func SetWindow(ctx context.Context, q Querier, databaseID int64, w platform.Window) error {
	if err := w.Check(); err != nil {
		return err
	}
	return changeDatabase(ctx, q, `window_weekday = $2, window_minute = $3`, databaseID, int(w.Weekday), w.Minute)
}

// ExchangeWindows gives the follower that takes its leader's place the leader's
// window, and the leader the follower's; a default one counts like a chosen one,
// since it is what the pages showed. It must come before SetDatabaseUnfollowed:
// where the follower does not follow the leader any more the two have changed
// places already, and nothing is done, so that doing it twice is as good as once.
func ExchangeWindows(ctx context.Context, tx pgx.Tx, followerID, leaderID int64) error {
	// The rows are held first: a window chosen in this very moment is exchanged too.
	follows, err := value[bool](ctx, tx, nil, `select coalesce(bool_or(id = $1 and following_id = $2), false)
		from (select id, following_id from databases where id in ($1, $2) order by id for update) held`, followerID, leaderID)
	if err != nil || !follows {
		return err
	}
	windows, err := Windows(ctx, tx, []int64{followerID, leaderID})
	if err != nil {
		return err
	}
	if err := SetWindow(ctx, tx, followerID, windows[leaderID]); err != nil {
		return err
	}
	return SetWindow(ctx, tx, leaderID, windows[followerID])
}
