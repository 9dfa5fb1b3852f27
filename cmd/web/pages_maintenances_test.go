package main

import (
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
)

// maintenances are one in each state, windows without one, and blackouts.
func (d *seeded) maintenances() {
	d.t.Helper()
	ctx := d.t.Context()
	at := func(days, hours int) *time.Time {
		t := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, days).Add(time.Duration(hours) * time.Hour)
		return &t
	}
	windowAt := func(it platform.Database, t time.Time) {
		d.must(db.SetWindow(ctx, d.pool, it.ID, platform.Window{Weekday: t.Weekday(), Minute: t.Hour()*60 + t.Minute()}))
	}
	planned := map[string]platform.Database{}
	for _, name := range []string{"tempura", "ramen", "soba", "bento", "yuzu"} {
		planned[name] = d.leaderOf(d.app(name), "standard-0", "a")
	}
	d.scheduled = maintenanceOf(d.t, d.site, planned["tempura"], at(3, 2))
	windowAt(planned["tempura"], *at(3, 2))
	d.must(db.SetMaintenanceReady(ctx, d.pool, d.scheduled.ID, time.Now(), at(3, 2)))
	d.must(db.ScheduleMaintenance(ctx, d.pool, d.scheduled.ID, at(3, 2), true, "jun@example.com", ""))
	preparing := maintenanceOf(d.t, d.site, planned["ramen"], at(6, 21))
	windowAt(planned["ramen"], *at(6, 21))
	d.exec(`update operation_steps set state = 'running', detail = '23.4 of 38.4 GB copied, 61 %', started_at = now() where operation_id = $1 and name = 'copy_leader'`, preparing.OperationID)
	ended := func(name string, days int, state platform.MaintenanceState, refused float64, reason string) {
		m := maintenanceOf(d.t, d.site, planned[name], nil)
		began := at(days, 4)
		d.must(db.SetMaintenanceRunning(ctx, d.pool, m.ID, *began))
		var outage *float64
		if refused >= 0 {
			outage = &refused
		}
		d.must(db.EndMaintenance(ctx, d.pool, m.ID, state, began.Add(4*time.Minute+12*time.Second), outage, reason))
		came := platform.OperationUndone
		if state == platform.MaintenanceCompleted {
			came = platform.OperationCompleted
		}
		d.exec(`update operations set state = $2, ended_at = now() where id = $1`, m.OperationID, came)
		d.exec(`delete from operation_claims where operation_id = $1`, m.OperationID)
	}
	ended("soba", 0, platform.MaintenanceCompleted, 127, "")
	ended("bento", -5, platform.MaintenanceFailed, 0, "Long transactions: 3 are open for more than an hour.")
	ended("bento", -30, platform.MaintenanceCancelled, -1, "")
	windowAt(planned["bento"], *at(4, 1))
	windowAt(planned["yuzu"], *at(6, 1))
	windowAt(d.leader, *at(3, 3))
	windowAt(d.switching, *at(3, 4))
	windowAt(d.separated, *at(3, 5))
	yuzu := planned["yuzu"].AppID
	for _, b := range []platform.Blackout{{From: *at(1, 12), Until: *at(3, 0), Reason: "autumn sale"}, {AppID: &yuzu, From: *at(20, 0), Until: *at(22, 0), Reason: "harvest"}} {
		b.CreatedBy = pagesUser
		_, err := db.CreateBlackout(ctx, d.pool, b)
		d.must(err)
	}
}
