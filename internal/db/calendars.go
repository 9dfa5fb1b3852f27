package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// CalendarFor is what the time of a maintenance of the database depends on, as
// of now; except is the maintenance that is to be scheduled, 0 for a new one.
// In a transaction it holds the app's row, so that two maintenances of one app
// do not choose the same time.
func CalendarFor(ctx context.Context, q Querier, d platform.Database, except int64, now time.Time) (platform.Calendar, error) {
	if tx, ok := q.(pgx.Tx); ok {
		if _, err := lockApp(ctx, tx, d.AppID); err != nil {
			return platform.Calendar{}, err
		}
	}
	calendars, err := CalendarsFor(ctx, q, []platform.Maintenance{{ID: except, DatabaseID: d.ID, AppID: d.AppID}}, now)
	return calendars[except], err
}

// CalendarsFor are what the times of maintenances depend on, by maintenance; it
// asks as much for many as for one.
func CalendarsFor(ctx context.Context, q Querier, list []platform.Maintenance, now time.Time) (map[int64]platform.Calendar, error) {
	var databases, apps []int64
	for _, m := range list {
		databases, apps = append(databases, m.DatabaseID), append(apps, m.AppID)
	}
	windows, err := Windows(ctx, q, databases)
	if err != nil {
		return nil, err
	}
	blackouts, err := blackoutsFor(ctx, q, apps, now)
	if err != nil {
		return nil, err
	}
	type due struct {
		ID, AppID   int64
		ScheduledAt time.Time
	}
	taken, err := many[due](ctx, q, `select m.id, d.app_id, m.scheduled_at from maintenances m join databases d on d.id = m.database_id
		where d.app_id = any($1) and m.scheduled_at is not null and `+openMaintenance+` order by m.id`, apps)
	if err != nil {
		return nil, err
	}
	calendars := make(map[int64]platform.Calendar, len(list))
	for _, m := range list {
		c := platform.Calendar{Window: windows[m.DatabaseID]}
		for _, b := range blackouts {
			if b.AppID == nil || *b.AppID == m.AppID {
				c.Blackouts = append(c.Blackouts, b)
			}
		}
		for _, t := range taken {
			if t.AppID == m.AppID && t.ID != m.ID {
				c.Taken = append(c.Taken, t.ScheduledAt)
			}
		}
		if m.RequiredBy != nil {
			c.RequiredBy = *m.RequiredBy
		}
		calendars[m.ID] = c
	}
	return calendars, nil
}
