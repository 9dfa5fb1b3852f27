package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// changeMaintenance updates one open maintenance and tells the pages that show
// it. sets is SQL of this file only; $1 is the maintenance.
func changeMaintenance(ctx context.Context, q Querier, sets string, id int64, args ...any) error {
	gone := platform.Conflict("This maintenance has ended; nothing of it can be changed any more.")
	return mustTouch(ctx, q, gone, `with changed as (
			update maintenances m set revision = revision + 1, changed_at = now(), `+sets+` where id = $1 and `+openMaintenance+` returning database_id, operation_id)
		select pg_notify('live', 'maintenances'), pg_notify('live', 'database:' || database_id), pg_notify('live', 'operation:' || operation_id)
		from changed`, append([]any{id}, args...)...)
}

// ScheduleMaintenance gives it a time; chosen is whether a person chose it, by
// is who, and reason is why where nobody did. It does not move its state.
func ScheduleMaintenance(ctx context.Context, q Querier, id int64, at *time.Time, chosen bool, by, reason string) error {
	return changeMaintenance(ctx, q, `scheduled_at = $2, chosen_time = $3, moved_by = $4, reason = $5, at_once = false`, id, at, chosen, by, reason)
}

// RunMaintenanceAtOnce lets it run as soon as it is ready.
func RunMaintenanceAtOnce(ctx context.Context, q Querier, id int64, by string) error {
	return changeMaintenance(ctx, q, `at_once = true, moved_by = $2`, id, by)
}

// SetMaintenanceReady says that all is prepared. at is when it runs; nil where
// no time can be found, and it stays ready until a person says when.
func SetMaintenanceReady(ctx context.Context, q Querier, id int64, now time.Time, at *time.Time) error {
	return changeMaintenance(ctx, q, `state = case when $3::timestamptz is null then 'ready' else 'scheduled' end,
		ready_at = coalesce(ready_at, $2), scheduled_at = $3`, id, now, at)
}

// SetMaintenanceRunning says that the switch has begun.
func SetMaintenanceRunning(ctx context.Context, q Querier, id int64, now time.Time) error {
	return changeMaintenance(ctx, q, `state = 'running', started_at = case when state = 'running' then started_at else $2 end`, id, now)
}

// PostponeMaintenance says that its switch was begun and put back, why, and
// when it is tried again.
func PostponeMaintenance(ctx context.Context, q Querier, id int64, at *time.Time, reason string) error {
	return changeMaintenance(ctx, q, `state = case when $2::timestamptz is null then 'ready' else 'scheduled' end, scheduled_at = $2,
		chosen_time = false, at_once = false, postponed = postponed + 1, reason = $3`, id, at, reason)
}

// SetToldTomorrow keeps for which time the notice of the day before was given.
func SetToldTomorrow(ctx context.Context, q Querier, id int64, at time.Time) error {
	return changeMaintenance(ctx, q, `told_tomorrow_for = $2`, id, at)
}

// EndMaintenance is the end of it, in a state that is not open.
func EndMaintenance(ctx context.Context, q Querier, id int64, state platform.MaintenanceState, now time.Time, outageMS *float64, reason string) error {
	return changeMaintenance(ctx, q, `state = $2, ended_at = $3, outage_ms = $4, reason = $5`, id, state, now, outageMS, reason)
}
