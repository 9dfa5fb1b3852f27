package jobs

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Cancel asks for an operation to be put back; Conflict after its point of no return.
func (j *Jobs) Cancel(ctx context.Context, actor string, operationID int64) error {
	return db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
		if err := db.RequestCancel(ctx, tx, operationID, actor); err != nil {
			return err
		}
		return j.wake(ctx, tx, operationID) // it may wait long
	})
}

// Retry runs a changeover that was put back again, from its failed step. Other
// kinds leave nothing behind when they are put back: they are started anew.
func (j *Jobs) Retry(ctx context.Context, operationID int64) (platform.Operation, error) {
	return j.begin(ctx, func(tx pgx.Tx) (platform.Operation, error) {
		op, err := db.OperationByID(ctx, tx, operationID)
		if err != nil {
			return op, err
		}
		if err := j.canRetry(ctx, tx, op); err != nil {
			return op, err
		}
		op, err = db.ReopenOperation(ctx, tx, operationID)
		if err != nil {
			return op, err
		}
		_, err = j.river.InsertTx(ctx, tx, operationArgs{OperationID: op.ID}, nil)
		return op, err
	})
}

// CanRetry is nil when Retry would run the operation again.
func (j *Jobs) CanRetry(ctx context.Context, op platform.Operation) error {
	return j.canRetry(ctx, j.Pool, op)
}

func (j *Jobs) canRetry(ctx context.Context, q db.Querier, op platform.Operation) error {
	if op.State != platform.OperationUndone {
		return platform.Conflict("Only an operation that was put back can be tried again.")
	}
	if op.Kind != platform.FollowerChangeover || op.TargetID == nil {
		return platform.Conflict("Nothing of it was kept, so there is nothing to go on from. Start it anew from the database's page.")
	}
	leader, err := db.DatabaseByID(ctx, q, op.DatabaseID)
	if err != nil {
		return err
	}
	follower, err := db.DatabaseByID(ctx, q, *op.TargetID)
	if err != nil {
		return err
	}
	if canTakeOver(leader, follower) != nil || leader.State != platform.DatabaseAvailable {
		return platform.Conflict("The follower %s is no longer there to take over. Start a new changeover from the page of %s.", follower.Name, leader.Name)
	}
	return nil
}
