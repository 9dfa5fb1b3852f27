package jobs

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"changeover/internal/db"
)

// reconcileEvery is how often open operations are looked at; with the parent's
// restart within a second it keeps "goes on within 10 s" with room to spare.
const reconcileEvery = 2 * time.Second

// every runs look now and then, until ctx ends.
func (j *Jobs) every(ctx context.Context, what string, look func(context.Context) error) {
	for {
		if err := look(ctx); err != nil && ctx.Err() == nil {
			j.Log.Warn(what+" failed; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(reconcileEvery):
		}
	}
}

// reconcile makes sure that somebody works on every open operation: a job for
// each that no runner holds and no job waits for. A job that River believes to
// be running is not trusted: after a kill -9 that is what River believes for an
// hour; the advisory lock is gone at once.
func (j *Jobs) reconcile(ctx context.Context) error {
	ids, err := abandoned(ctx, j.Pool)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
			_, err := j.river.InsertTx(ctx, tx, operationArgs{OperationID: id}, nil)
			return err
		}); err != nil {
			return err
		}
		j.Log.Info("an operation that nobody ran is run again", "operation", id)
	}
	return j.wakeDue(ctx)
}

// takeUp lets mails and deliveries that were being sent when the program was
// killed be sent again at once; River would take them for lost minutes later.
// They may have arrived: both have the id that they had.
func takeUp(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, `update river_job set state = 'available', scheduled_at = now(), attempt = least(attempt, max_attempts - 1)
		where kind = any($1) and state = 'running'`, []string{hookArgs{}.Kind(), mailArgs{}.Kind()})
	return err
}

// abandoned are the open operations without a runner and without a waiting job.
func abandoned(ctx context.Context, pool *pgxpool.Pool) ([]int64, error) {
	rows, err := pool.Query(ctx, `
		select o.id from operations o
		where o.state in ('running', 'undoing')
		and o.requested_at < now() - interval '2 seconds' -- its first job may be between River and the lock
		and not exists (select from pg_locks l where l.locktype = 'advisory' and l.classid = $1::oid and l.objid = o.id::oid
			and l.database = (select oid from pg_database where datname = current_database()))
		and not exists (select from river_job r where r.kind = 'operation' and (r.args ->> 'operation_id')::bigint = o.id
			and r.state in ('available', 'scheduled', 'retryable', 'pending'))
		order by o.id`, uint32(lockSpace))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}
