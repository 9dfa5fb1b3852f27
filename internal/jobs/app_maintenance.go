package jobs

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"

	"github.com/jackc/pgx/v5"
)

// turnOnMaintenance turns an app's maintenance mode on for an operation and keeps
// what it was before.
func turnOnMaintenance(ctx context.Context, a *workflow.Attempt, appID int64) error {
	return a.InTx(ctx, func(tx pgx.Tx) error {
		app, err := db.AppByID(ctx, tx, appID)
		if err != nil {
			return err
		}
		if err := db.SaveMaintenance(ctx, tx, a.Operation.ID, app.MaintenanceOn); err != nil {
			return err
		}
		if app.MaintenanceOn {
			a.Detail("It was on already")
		}
		return db.SetMaintenance(ctx, tx, appID, true)
	})
}

// turnOffMaintenance puts maintenance mode back to what it was.
func turnOffMaintenance(ctx context.Context, a *workflow.Attempt, appID int64) error {
	return a.InTx(ctx, func(tx pgx.Tx) error {
		facts, err := db.ChangeoverOf(ctx, tx, a.Operation.ID)
		if err != nil || facts.MaintenanceWasOn == nil {
			return err
		}
		if *facts.MaintenanceWasOn {
			a.Detail("It stays on, as it was before")
		}
		return db.SetMaintenance(ctx, tx, appID, *facts.MaintenanceWasOn)
	})
}
