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

// dropOldDatabase removes what an upgrade of an Essential database has kept.
var dropOldDatabase = []workflow.Step[*oldDatabaseDropper]{
	{Name: "drop_databases", Title: "Drop the old database", NoReturn: true, Do: (*oldDatabaseDropper).drop},
}

type oldDatabaseDropper struct {
	*workflow.Attempt
	j  *Jobs
	it place
}

func (j *Jobs) newOldDatabaseDropper(ctx context.Context, a *workflow.Attempt) (*oldDatabaseDropper, error) {
	it, err := j.place(ctx, j.Pool, a.Operation.DatabaseID)
	return &oldDatabaseDropper{a, j, it}, err
}

func (d *oldDatabaseDropper) drop(ctx context.Context) error {
	until := time.Time{}
	if d.Operation.RequestedBy == scheduler {
		until = d.j.Now() // one that was kept later has its own day
	}
	n, err := d.j.dropKept(ctx, d.Epoch, d.it, until, d.InTx)
	d.Detail("%s dropped", counted(n, "database"))
	return err
}

// dropKept drops every old database that is kept of a place's, or where until is
// set those that were to be kept until then, with its role where no other
// database of the same app needs that.
func (j *Jobs) dropKept(ctx context.Context, epoch int64, it place, until time.Time, inTx func(context.Context, func(pgx.Tx) error) error) (n int, err error) {
	kept, err := db.KeptDatabasesOf(ctx, j.Pool, it.Database.ID)
	if err != nil {
		return 0, err
	}
	for i, m := range kept {
		if !until.IsZero() && m.KeptUntil.After(until) {
			continue
		}
		if m.OldDatabaseName == it.Database.DatabaseName && m.OldServerID == it.Server.ID {
			return n, fmt.Errorf("the database that is kept of %s is %s itself: nothing is dropped before a person has looked", it.Database.Name, it.Database.Name)
		}
		old, err := j.on(ctx, j.Pool, place{Database: it.Database}, m.OldServerID)
		if err != nil {
			return n, err
		}
		role := it.Database.RoleName
		if m.OldServerID == it.Server.ID {
			role = ""
		}
		for k, other := range kept {
			if other.OldServerID == m.OldServerID && (k > i || !until.IsZero() && other.KeptUntil.After(until)) {
				role = ""
			}
		}
		if err := j.Engine.DropDatabase(ctx, epoch, old.Server, m.OldDatabaseName, role); err != nil {
			return n, err
		}
		if err := inTx(ctx, func(tx pgx.Tx) error { return db.ForgetKeptDatabase(ctx, tx, m.OperationID) }); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (d *oldDatabaseDropper) ended(ctx context.Context, tx pgx.Tx, state platform.OperationState) error {
	name := d.it.Database.Name
	if state == platform.OperationUndone {
		return notify(ctx, tx, d.Attempt, platform.NoticeOldServerKept, "Not dropped: the old database of "+name,
			fmt.Sprintf("The old database of %s is kept as it was.\n\nWhy. %s", name, d.Reason()))
	}
	return notify(ctx, tx, d.Attempt, platform.NoticeOldServerDestroyed, "Dropped: the old database of "+name,
		fmt.Sprintf("The database that was kept closed after the last upgrade of %s is gone, with its data; %s itself goes on as it is.", name, name))
}

// StartDropOldDatabase drops what is kept of an Essential database, at once.
func (j *Jobs) StartDropOldDatabase(ctx context.Context, actor string, databaseID int64) (platform.Operation, error) {
	return j.begin(ctx, func(tx pgx.Tx) (platform.Operation, error) {
		d, err := db.LockDatabase(ctx, tx, databaseID)
		if err != nil {
			return platform.Operation{}, err
		}
		kept, err := db.KeptDatabasesOf(ctx, tx, databaseID)
		if err != nil {
			return platform.Operation{}, err
		}
		if len(kept) == 0 {
			return platform.Operation{}, platform.NotFound("No old database of %s is kept any more.", d.Name)
		}
		return j.start(ctx, tx, db.NewOperation{Kind: platform.DropOldDatabase, DatabaseID: d.ID, AppID: &d.AppID, RequestedBy: actor})
	})
}
