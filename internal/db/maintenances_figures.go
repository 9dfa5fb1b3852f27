package db

import (
	"context"

	"changeover/internal/platform"
)

// RecentOutages are, by database, the measured milliseconds in which writes
// were refused by its last three completed switches, newest first: those from
// it, and the one by which it became the leader.
func RecentOutages(ctx context.Context, q Querier, databaseIDs []int64) (map[int64][]float64, error) {
	type row struct {
		DatabaseID int64
		OutageMS   float64
	}
	rows, err := many[row](ctx, q, `select database_id, outage_ms from (
			select d.id as database_id, c.outage_ms, o.id, row_number() over (partition by d.id order by o.id desc) as newest
			from unnest($1::bigint[]) d(id) join operations o on d.id in (o.database_id, o.target_id) and o.state = 'completed'
			join changeovers c on c.operation_id = o.id and c.outage_ms is not null) s
		where newest <= 3 order by database_id, newest`, databaseIDs)
	outages := make(map[int64][]float64, len(databaseIDs))
	for _, r := range rows {
		outages[r.DatabaseID] = append(outages[r.DatabaseID], r.OutageMS)
	}
	return outages, err
}

// WindowOwner is a leader with its window. Whether its plan has one is the
// catalogue's to say.
type WindowOwner struct {
	ID                  int64
	Name, AppName, Plan string
	Window              platform.Window
}

// WindowOwners are the leaders that run, by app and name, with their windows.
func WindowOwners(ctx context.Context, q Querier, f MaintenanceFilter) ([]WindowOwner, error) {
	type row struct {
		ID                  int64
		Name, AppName, Plan string
	}
	all, apps := f.sight()
	rows, err := many[row](ctx, q, `select d.id, d.name, a.name as app_name, d.plan from databases d join apps a on a.id = d.app_id
		where `+seenMaintenances+` and d.following_id is null and d.state = 'available' order by a.name, d.name`, all, apps)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	windows, err := Windows(ctx, q, ids)
	owners := make([]WindowOwner, len(rows))
	for i, r := range rows {
		owners[i] = WindowOwner{ID: r.ID, Name: r.Name, AppName: r.AppName, Plan: r.Plan, Window: windows[r.ID]}
	}
	return owners, err
}
