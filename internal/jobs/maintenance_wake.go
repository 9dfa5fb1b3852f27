package jobs

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// wake lets an operation that waits long be run now: its job is due at once, and
// where it has none it gets one.
func (j *Jobs) wake(ctx context.Context, tx pgx.Tx, operationID int64) error {
	rows, err := tx.Query(ctx, `select id from river_job where kind = 'operation' and (args ->> 'operation_id')::bigint = $1
		and state in ('available', 'scheduled', 'retryable', 'pending') order by id limit 1`, operationID)
	if err != nil {
		return err
	}
	waiting, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	if len(waiting) > 0 {
		_, err = j.river.JobRetryTx(ctx, tx, waiting[0])
		return err
	}
	_, err = j.river.InsertTx(ctx, tx, operationArgs{OperationID: operationID}, nil)
	return err
}

// wakeDue wakes the maintenances that are due, or whose day before has come, and
// operations that somebody has cancelled while they wait. River's own schedule
// runs on the machine's clock alone and sleeps when the machine does; this looks
// at what the tables say, every time.
func (j *Jobs) wakeDue(ctx context.Context) error {
	ids, err := db.SleepingOperations(ctx, j.Pool, j.Now(), lockSpace)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := db.InTx(ctx, j.Pool, func(tx pgx.Tx) error { return j.wake(ctx, tx, id) }); err != nil {
			return err
		}
	}
	return j.destroyKept(ctx)
}

// scheduler is who acts when nobody has asked.
const scheduler = "Changeover"

// destroyKept ends the old servers and databases that were kept long enough. One whose
// database another operation has waits for the end of that.
func (j *Jobs) destroyKept(ctx context.Context) error {
	due, err := db.KeptLongEnough(ctx, j.Pool, j.Now())
	if err != nil {
		return err
	}
	for _, r := range due {
		_, err := j.StartDestroyOldServer(ctx, scheduler, r.DatabaseID)
		if err := unlessBusy(err); err != nil {
			return err
		}
	}
	closed, err := db.DatabasesKeptLongEnough(ctx, j.Pool, j.Now())
	if err != nil {
		return err
	}
	for _, m := range closed {
		_, err := j.StartDropOldDatabase(ctx, scheduler, m.DatabaseID)
		if err := unlessBusy(err); err != nil {
			return err
		}
	}
	return nil
}

// unlessBusy leaves out the errors after which the next look tries again.
func unlessBusy(err error) error {
	if kind := platform.KindOf(err); err != nil && kind != platform.KindConflict && kind != platform.KindNotFound {
		return err
	}
	return nil
}
