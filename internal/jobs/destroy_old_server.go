package jobs

import (
	"context"
	"fmt"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// destroyOldServer removes the server that an upgrade has kept for switching back.
var destroyOldServer = []workflow.Step[*oldServerDestroyer]{
	{Name: "give_up", Title: "Keep it no longer", NoReturn: true, Do: (*oldServerDestroyer).giveUp},
	{Name: "remove_server", Title: "Remove the server and its data", Do: (*oldServerDestroyer).removeServer},
	{Name: "drop_slot", Title: "Drop its slot on the new server", Do: (*oldServerDestroyer).dropSlot},
}

type oldServerDestroyer struct {
	*workflow.Attempt
	j   *Jobs
	it  place // the database as it is
	old place
}

func (j *Jobs) newOldServerDestroyer(ctx context.Context, a *workflow.Attempt) (*oldServerDestroyer, error) {
	r, err := db.ReplacementOf(ctx, j.Pool, a.Operation.ID)
	if err != nil {
		return nil, err
	}
	it, err := j.place(ctx, j.Pool, r.DatabaseID)
	if err != nil {
		return nil, err
	}
	old, err := j.on(ctx, j.Pool, place{Database: it.Database, Called: "the old server of " + it.Database.Name}, r.OldServerID)
	return &oldServerDestroyer{a, j, it, old}, err
}

func (d *oldServerDestroyer) giveUp(ctx context.Context) error {
	return d.InTx(ctx, func(tx pgx.Tx) error {
		it, err := db.DatabaseByID(ctx, tx, d.it.Database.ID)
		if err != nil {
			return err
		}
		if it.ServerID != nil && *it.ServerID == d.old.Server.ID {
			return fmt.Errorf("server %d is %s now: nothing is removed before a person has looked", d.old.Server.ID, it.Name)
		}
		if err := db.ForgetKeptServer(ctx, tx, d.old.Server.ID); err != nil {
			return err
		}
		return db.SetServerState(ctx, tx, d.old.Server.ID, platform.ServerStopped)
	})
}

func (d *oldServerDestroyer) removeServer(ctx context.Context) error {
	if err := d.j.Engine.Destroy(ctx, d.Epoch, d.old.Server); err != nil {
		return err
	}
	d.Detail("Port %d is free again", d.old.Server.Port)
	return nil
}

func (d *oldServerDestroyer) dropSlot(ctx context.Context) error {
	if err := d.j.dropSlot(ctx, d.Epoch, d.it, d.old.slot()); err != nil {
		return err
	}
	return d.InTx(ctx, func(tx pgx.Tx) error { return db.SetServerDestroyed(ctx, tx, d.old.Server.ID) })
}

func (d *oldServerDestroyer) ended(ctx context.Context, tx pgx.Tx, state platform.OperationState) error {
	if state == platform.OperationUndone {
		return notify(ctx, tx, d.Attempt, platform.NoticeOldServerKept, "Not destroyed: the old server of "+d.it.Database.Name,
			fmt.Sprintf("The old server of %s is kept as it was.\n\nWhy. %s", d.it.Database.Name, d.Reason()))
	}
	return notify(ctx, tx, d.Attempt, platform.NoticeOldServerDestroyed, "Destroyed: the old server of "+d.it.Database.Name,
		fmt.Sprintf("The server that was kept after the last switch of %s is gone, with its data; %s itself goes on as it is. One cannot switch back any more.", d.it.Database.Name, d.it.Database.Name))
}

// StartDestroyOldServer removes the server that is kept for switching back, at once.
func (j *Jobs) StartDestroyOldServer(ctx context.Context, actor string, databaseID int64) (platform.Operation, error) {
	return j.begin(ctx, func(tx pgx.Tx) (platform.Operation, error) {
		d, err := db.LockDatabase(ctx, tx, databaseID)
		if err != nil {
			return platform.Operation{}, err
		}
		kept, ok, err := db.KeptServerOf(ctx, tx, databaseID)
		if err != nil {
			return platform.Operation{}, err
		}
		if !ok {
			return platform.Operation{}, platform.NotFound("No old server of %s is kept any more.", d.Name)
		}
		op, err := j.start(ctx, tx, db.NewOperation{Kind: platform.DestroyOldServer, DatabaseID: d.ID, AppID: &d.AppID, RequestedBy: actor})
		if err != nil {
			return op, err
		}
		return op, db.InsertReplacement(ctx, tx, db.Replacement{OperationID: op.ID, DatabaseID: d.ID, Plan: kept.Plan, OldServerID: kept.OldServerID})
	})
}
