package db

import (
	"context"
	"time"

	"changeover/internal/platform"
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
