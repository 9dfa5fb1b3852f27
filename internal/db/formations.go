package db

import (
	"context"

	"changeover/internal/platform"
)

// Formation is the app's process types and how many of each, by type.
func Formation(ctx context.Context, q Querier, appID int64) ([]platform.Process, error) {
	return many[platform.Process](ctx, q, `select process as type, quantity from formations where app_id = $1 order by process`, appID)
}

// SetProcess scales one process type, or adds it. 0 keeps the type at nothing.
func SetProcess(ctx context.Context, q Querier, appID int64, p platform.Process) error {
	if err := platform.CheckProcessType("process", p.Type); err != nil {
		return err
	}
	return SetFormation(ctx, q, appID, []platform.Process{p})
}

// SetFormation scales the given process types in one statement and leaves the
// others as they are.
func SetFormation(ctx context.Context, q Querier, appID int64, processes []platform.Process) error {
	types, quantities := make([]string, len(processes)), make([]int, len(processes))
	for i, p := range processes {
		types[i], quantities[i] = p.Type, p.Quantity
	}
	_, err := exec(ctx, q, `with scaled as (
			insert into formations (app_id, process, quantity)
			select $1, * from unnest($2::text[], $3::int[])
			on conflict (app_id, process) do update set quantity = excluded.quantity
			returning app_id)
		select pg_notify('live', 'app:' || app_id) from (select distinct app_id from scaled) s`, appID, types, quantities)
	return err
}

// RemoveProcess takes a process type out of the formation.
func RemoveProcess(ctx context.Context, q Querier, appID int64, process string) error {
	return mustTouch(ctx, q, platform.NotFound("The formation has no process type %s. Reload the page.", process), `with gone as (
			delete from formations where app_id = $1 and process = $2 returning app_id)
		select pg_notify('live', 'app:' || app_id) from gone`, appID, process)
}
