package jobs

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// destroy removes a database with all its data, and ends what it costs.
var destroy = []workflow.Step[*destroyer]{
	{Name: "detach", Title: "Detach it from every app", NoReturn: true, Do: (*destroyer).detach},
	{Name: "remove_server", Title: "Remove the server and its data", Do: (*destroyer).removeServer},
	{Name: "drop_slot", Title: "Drop its slot on the leader", Do: (*destroyer).dropSlot},
	{Name: "end_billing", Title: "End the billing", Do: (*destroyer).endBilling},
}

type destroyer struct {
	*workflow.Attempt
	j  *Jobs
	it place
}

func (j *Jobs) newDestroyer(ctx context.Context, a *workflow.Attempt) (*destroyer, error) {
	it, err := j.place(ctx, j.Pool, a.Operation.DatabaseID)
	return &destroyer{a, j, it}, err
}

func (d *destroyer) detach(ctx context.Context) error {
	return d.InTx(ctx, func(tx pgx.Tx) error {
		if err := db.SetDatabaseState(ctx, tx, d.it.Database.ID, platform.DatabaseDestroying); err != nil {
			return err
		}
		servers, err := db.ServersOf(ctx, tx, d.it.Database.ID)
		if err != nil {
			return err
		}
		for _, s := range servers {
			if err := db.SetServerState(ctx, tx, s.ID, platform.ServerStopped); err != nil {
				return err
			}
		}
		return db.DetachAll(ctx, tx, d.it.Database.ID, d.Operation.RequestedBy, &d.Operation.ID)
	})
}

func (d *destroyer) removeServer(ctx context.Context) error {
	if !d.it.exists() {
		return nil
	}
	if d.it.Server.Shared {
		if _, err := d.j.dropKept(ctx, d.Epoch, d.it, time.Time{}, d.InTx); err != nil {
			return err
		}
		d.Detail("Its database and its role are dropped; the shared cluster goes on")
		return d.j.Engine.DropDatabase(ctx, d.Epoch, d.it.Server, d.it.Database.DatabaseName, d.it.Database.RoleName)
	}
	servers, err := db.ServersOf(ctx, d.j.Pool, d.it.Database.ID)
	if err != nil {
		return err
	}
	for _, s := range servers { // one that is kept for switching back, too
		server, err := d.j.engineServer(s)
		if err != nil {
			return err
		}
		if err := d.j.Engine.Destroy(ctx, d.Epoch, server); err != nil {
			return err
		}
	}
	d.Detail("Port %d is free again", d.it.Server.Port)
	return nil
}

func (d *destroyer) dropSlot(ctx context.Context) error {
	if d.it.Database.FollowingID == nil || !d.it.exists() {
		d.Detail("It followed nothing")
		return nil
	}
	leader, err := d.j.place(ctx, d.j.Pool, *d.it.Database.FollowingID)
	if err != nil || !leader.exists() {
		return err
	}
	return d.j.dropSlot(ctx, d.Epoch, leader, d.it.slot())
}

func (d *destroyer) endBilling(ctx context.Context) error {
	return d.InTx(ctx, func(tx pgx.Tx) error {
		return forgetDatabase(ctx, tx, d.it, d.Operation.RequestedBy, &d.Operation.ID)
	})
}

func (d *destroyer) ended(ctx context.Context, tx pgx.Tx, state platform.OperationState) error {
	return notify(ctx, tx, d.Attempt, platform.NoticeDestroyed, "Destroyed: "+d.it.Database.Name,
		fmt.Sprintf("%s was destroyed by %s. It costs nothing any more; its data is gone.", d.it.Database.Name, d.Operation.RequestedBy))
}
