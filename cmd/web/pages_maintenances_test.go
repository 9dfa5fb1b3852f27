package main

import (
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
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

// moved is an Essential database after an upgrade, with the old one kept.
func (d *seeded) moved() {
	d.t.Helper()
	ctx := d.t.Context()
	d.essential = d.leaderOf(d.app("mochi"), "essential-0", "a")
	d.must(db.SetFacts(ctx, d.pool, db.Facts{DatabaseID: d.essential.ID, DataBytes: 512_000_000, Tables: 14, Connections: 7, Version: "17.6", CommitsPerS: 3}))
	server, err := db.ServerOf(ctx, d.pool, d.essential.ID)
	d.must(err)
	var op platform.Operation
	d.must(db.InTx(ctx, d.pool, func(tx pgx.Tx) (err error) {
		var names []string
		for _, step := range jobs.Procedures()[platform.UpgradeEssential] {
			names = append(names, step.Name)
		}
		if op, err = db.InsertOperation(ctx, tx, db.NewOperation{Kind: platform.UpgradeEssential, DatabaseID: d.essential.ID, AppID: &d.essential.AppID, RequestedBy: pagesUser, StepNames: names}); err != nil {
			return err
		}
		if err := db.InsertSwitch(ctx, tx, op.ID); err != nil {
			return err
		}
		d.essential.ServerID = &server.ID
		if err := db.InsertDatabaseMove(ctx, tx, op.ID, d.essential, "essential-1", false); err != nil {
			return err
		}
		m, err := db.DatabaseMoveOf(ctx, tx, op.ID)
		if err != nil {
			return err
		}
		m.ServerID = &server.ID
		return db.MoveDatabase(ctx, tx, m, time.Now().Add(23*time.Hour))
	}))
	d.movedBy = op.ID
	d.exec(`update operation_steps set state = 'done', started_at = now() - interval '40 seconds', finished_at = now() - interval '10 seconds' where operation_id = $1`, op.ID)
	d.exec(`update changeovers set refused_at = now() - interval '38 seconds', accepted_at = now() - interval '12 seconds', outage_ms = 26000, sessions_ended = 3 where operation_id = $1`, op.ID)
	d.exec(`update operations set state = 'completed', started_at = now() - interval '40 seconds', ended_at = now(), no_return_at = now() - interval '12 seconds' where id = $1`, op.ID)
	d.exec(`delete from operation_claims where operation_id = $1`, op.ID)
}
