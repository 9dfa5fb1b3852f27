package main

import (
	"context"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/page"
)

// databaseMaintenance is the part of a database's page about its window, what
// is to come, and the server that is kept for switching back. Nil for what has
// no window.
func (a *app) databaseMaintenance(ctx context.Context, access platform.Access, row db.DatabaseListRow, now time.Time) (*page.DatabaseMaintenanceView, error) {
	d := row.Database
	if a.plan(d.Plan).Tier.IsShared {
		return a.keptDatabase(ctx, access, d)
	}
	if !a.plan(d.Plan).Tier.HasWindow || d.IsFollower() || d.State != platform.DatabaseAvailable && d.State != platform.DatabaseFenced {
		return nil, nil
	}
	may := access.On(d.AppID)
	view := &page.DatabaseMaintenanceView{DatabaseName: d.Name, MayChange: may >= platform.RoleOperate, MayDestroy: may == platform.RoleManage}
	var err error
	if view.Window, err = db.WindowOf(ctx, a.pool, d.ID); err != nil {
		return nil, err
	}
	view.NextOpening = view.Window.Next(now)
	if row.Next != nil {
		if view.Coming, err = a.comingRow(ctx, access, d.ID, now); err != nil {
			return nil, err
		}
	}
	blackouts, err := db.BlackoutsFor(ctx, a.pool, d.AppID, now)
	if err != nil {
		return nil, err
	}
	for _, b := range blackouts {
		view.Blackouts = append(view.Blackouts, page.BlackoutRow{ID: b.ID, Reason: b.Reason, AppName: b.AppName, From: b.From, Until: b.Until})
	}
	view.Kept, err = a.keptServer(ctx, row)
	return view, err
}

// comingRow is what is to come for a database; nil when it has ended just now.
func (a *app) comingRow(ctx context.Context, access platform.Access, id int64, now time.Time) (*page.MaintenanceRow, error) {
	m, open, err := db.OpenMaintenanceOf(ctx, a.pool, id)
	if err != nil || !open {
		return nil, err
	}
	rows, err := a.comingRows(ctx, access, []platform.Maintenance{m}, now, m.ID)
	if err != nil {
		return nil, err
	}
	return &rows[0], nil
}

// keptServer is the offer to switch back, as far as it needs no question to the
// servers: the page that asks for it makes the whole check.
func (a *app) keptServer(ctx context.Context, row db.DatabaseListRow) (*page.KeptServer, error) {
	kept, ok, err := db.KeptServerOf(ctx, a.pool, row.Database.ID)
	if err != nil || !ok {
		return nil, err
	}
	server, err := db.ServerByID(ctx, a.pool, kept.OldServerID)
	if err != nil {
		return nil, err
	}
	offer := &page.KeptServer{Plan: server.Plan, Until: *kept.KeptUntil}
	if err := a.catalogue.UpgradePlan(a.plan(row.Database.Plan), a.plan(server.Plan), row.Reading.DataBytes, row.Reading.Connections); err != nil {
		offer.Refusal = failureOf(err, "").Message
	}
	if row.Operation != nil {
		offer.Refusal = row.Operation.Kind.Title() + " of it is running. Wait until it has ended."
	}
	return offer, nil
}

// keptDatabase is that part of an Essential database's page, which has no window:
// nil unless an old database is kept.
func (a *app) keptDatabase(ctx context.Context, access platform.Access, d platform.Database) (*page.DatabaseMaintenanceView, error) {
	kept, err := db.KeptDatabasesOf(ctx, a.pool, d.ID)
	if err != nil || len(kept) == 0 || d.State != platform.DatabaseAvailable {
		return nil, err
	}
	return &page.DatabaseMaintenanceView{DatabaseName: d.Name, MayDestroy: access.On(d.AppID) == platform.RoleManage,
		Kept: &page.KeptServer{Plan: kept[0].FromPlan, Until: *kept[0].KeptUntil, Closed: true}}, nil
}
