package jobs

import (
	"context"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// switchBack puts the server that an upgrade has kept in its place again. It has
// followed the new one since, so nothing that was written meanwhile is lost.
func switchBack(deadline time.Duration) []workflow.Step[*upgrader] {
	return append([]workflow.Step[*upgrader]{
		{Name: "begin", Title: "Begin the maintenance", Do: (*upgrader).beginSwitchBack},
		{Name: "wait_until_caught_up", Title: "Wait until it has caught up", Do: (*upgrader).caughtUp},
	}, serverSwitch(deadline)...)
}

func (u *upgrader) beginSwitchBack(ctx context.Context) error {
	facts, err := u.j.readFacts(ctx, u.old)
	if err != nil {
		return err
	}
	if err := u.j.Catalogue.UpgradePlan(u.old.Plan, u.it.Plan, facts.DataBytes, facts.Connections); err != nil {
		return err
	}
	return u.InTx(ctx, func(tx pgx.Tx) error {
		m, err := db.LockMaintenance(ctx, tx, u.maintenance.ID)
		if err != nil || m.State == platform.MaintenanceRunning {
			return err // an earlier attempt has said so
		}
		now := u.j.Now()
		if err := db.SetMaintenanceReady(ctx, tx, u.maintenance.ID, now, &now); err != nil {
			return err
		}
		if err := db.SetMaintenanceRunning(ctx, tx, u.maintenance.ID, now); err != nil {
			return err
		}
		return u.j.noticeStarting(ctx, tx, m)
	})
}

// SwitchBackOffer is what switching back would do.
type SwitchBackOffer struct {
	Plan   platform.Plan // of the kept server
	Until  time.Time     // it is kept until then
	Checks []platform.Check
}

// OfferSwitchBack looks whether a database can be switched back to the server
// that its last upgrade has kept: the data and the connections in use fit its
// plan, and it can take the other's place (safety 3). The error is a Conflict
// or Invalid sentence that says why not; NotFound where no server is kept.
func (j *Jobs) OfferSwitchBack(ctx context.Context, databaseID int64) (SwitchBackOffer, error) {
	var offer SwitchBackOffer
	kept, old, err := j.keptServer(ctx, j.Pool, databaseID)
	if err != nil {
		return offer, err
	}
	offer.Plan, offer.Until = old.Plan, *kept.KeptUntil
	current, err := j.place(ctx, j.Pool, databaseID)
	if err != nil {
		return offer, err
	}
	if current.Database.State != platform.DatabaseAvailable {
		return offer, platform.Conflict("%s is %s, so it cannot be switched back now.", current.Database.Name, current.Database.State)
	}
	facts, err := j.readFacts(ctx, current)
	if err != nil {
		return offer, err
	}
	if err := j.Catalogue.UpgradePlan(current.Plan, old.Plan, facts.DataBytes, facts.Connections); err != nil {
		return offer, err
	}
	if offer.Checks, err = j.preflight(ctx, current, &old, old.Plan); err != nil {
		return offer, err
	}
	for _, check := range offer.Checks {
		if check.State == platform.CheckStop {
			return offer, platform.Conflict("%s: %s", check.Title, check.Detail)
		}
	}
	return offer, nil
}

// keptServer is the server that is kept for switching the database back.
func (j *Jobs) keptServer(ctx context.Context, q db.Querier, databaseID int64) (db.Replacement, place, error) {
	kept, ok, err := db.KeptServerOf(ctx, q, databaseID)
	if err != nil {
		return kept, place{}, err
	}
	if !ok {
		return kept, place{}, platform.NotFound("No old server is kept any more, so one cannot switch back. Upgrade to the plan that it should be on.")
	}
	d, err := db.DatabaseByID(ctx, q, databaseID)
	if err != nil {
		return kept, place{}, err
	}
	old, err := j.on(ctx, q, place{Database: d, Called: "the old server of " + d.Name}, kept.OldServerID)
	old.Plan = old.Server.Plan
	return kept, old, err
}

// StartSwitchBack puts the kept server in its place again, at once.
func (j *Jobs) StartSwitchBack(ctx context.Context, actor string, databaseID int64) (platform.Operation, error) {
	if _, err := j.OfferSwitchBack(ctx, databaseID); err != nil {
		return platform.Operation{}, err
	}
	return j.begin(ctx, func(tx pgx.Tx) (platform.Operation, error) {
		d, err := db.LockDatabase(ctx, tx, databaseID)
		if err != nil {
			return platform.Operation{}, err
		}
		_, old, err := j.keptServer(ctx, tx, databaseID)
		if err != nil {
			return platform.Operation{}, err
		}
		op, err := j.start(ctx, tx, db.NewOperation{Kind: platform.SwitchBack, DatabaseID: d.ID, AppID: &d.AppID, RequestedBy: actor})
		if err != nil {
			return op, err
		}
		now := j.Now()
		if _, err := db.CreateMaintenance(ctx, tx, db.NewMaintenance{DatabaseID: d.ID, OperationID: op.ID, Kind: platform.MaintenanceSwitchBack,
			FromPlan: d.Plan, ToPlan: old.Plan.Name, ScheduledAt: &now, ChosenTime: true, CreatedBy: actor}); err != nil {
			return op, err
		}
		if err := db.InsertSwitch(ctx, tx, op.ID); err != nil {
			return op, err
		}
		return op, db.InsertReplacement(ctx, tx, db.Replacement{OperationID: op.ID, DatabaseID: d.ID, Plan: old.Plan.Name, ServerID: &old.Server.ID, OldServerID: *d.ServerID})
	})
}
