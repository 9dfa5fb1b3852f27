package jobs

import (
	"context"
	"errors"
	"runtime/debug"
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

// reconcile makes sure that somebody works on every open operation that no runner
// holds: a new job where none waits. A job that River believes to be running is
// not trusted: after a kill -9 that is what River believes for an hour; the
// advisory lock is gone at once. Nor is one that waits although it is due.
func (j *Jobs) reconcile(ctx context.Context) error {
	list, err := idle(ctx, j.Pool)
	if err != nil {
		return err
	}
	var errs []error // of one operation; the others must not wait for it
	for _, o := range list {
		switch {
		case o.Unfetched:
			j.runAside(ctx, o.ID)
		case o.Unscheduled:
			// The process among River's clients that moves jobs when they are due was
			// killed, and the next one is not elected for up to 15 s.
			if err := j.wakeSoon(ctx, o.ID); err != nil {
				// Somebody holds the job's row, or it cannot be moved.
				j.runAside(ctx, o.ID)
				errs = append(errs, err)
			}
		default:
			err := db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
				_, err := j.river.InsertTx(ctx, tx, operationArgs{OperationID: o.ID}, nil)
				return err
			})
			if err == nil {
				j.Log.Info("an operation that nobody ran is run again", "operation", o.ID)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, j.wakeDue(ctx))...)
}

// wakeSoon is wake in a transaction of its own, which does not wait for a row
// that somebody holds.
func (j *Jobs) wakeSoon(ctx context.Context, id int64) error {
	return db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `set local lock_timeout = '500ms'`); err != nil {
			return err
		}
		return j.wake(ctx, tx, id)
	})
}

// takeUp lets mails and deliveries that were being sent when the program was
// killed be sent again at once; River would take them for lost minutes later.
// They may have arrived: both have the id that they had.
func takeUp(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, `update river_job set state = 'available', scheduled_at = now(), attempt = least(attempt, max_attempts - 1)
		where kind = any($1) and state = 'running'`, []string{hookArgs{}.Kind(), mailArgs{}.Kind()})
	return err
}

// asideAtOnce is how many operations are run without River at the same time: each
// has a connection to the control database of its own.
const asideAtOnce = 10

// runAside runs an operation without River, which has not fetched its job: its
// fetching hangs, somebody holds the row, or all its workers are busy. Whoever
// fetches it later finds the operation held, or ended. What waits is looked at
// again with the next reconcile, and so is what finds no place here.
func (j *Jobs) runAside(ctx context.Context, id int64) {
	running := 0
	j.aside.Range(func(any, any) bool { running++; return true })
	if running >= asideAtOnce {
		return
	}
	if _, runs := j.aside.LoadOrStore(id, true); runs {
		return
	}
	j.Log.Warn("the job of an operation was not fetched for seconds; the operation is run without it", "operation", id)
	j.running.Go(func() {
		defer j.aside.Delete(id)
		defer func() { // as River does: one operation must not end all others
			if p := recover(); p != nil {
				j.Log.Error("an operation's run panicked; it is run again", "operation", id, "panic", p, "stack", string(debug.Stack()))
			}
		}()
		_ = (&operationWorker{jobs: j}).run(ctx, id) // said in the log; it is tried again
	})
}

// idleOperation is an open one without a runner.
type idleOperation struct {
	ID int64
	// Unfetched: River should have fetched its job seconds ago. Unscheduled: its job
	// was put off until a time that has come.
	Unfetched, Unscheduled bool
}

// overdueAfter is for how long a job that is due is trusted to be run.
const overdueAfter = 3 * time.Second

// idle are the open operations without a runner and without a job that will be
// run when it is due.
func idle(ctx context.Context, pool *pgxpool.Pool) ([]idleOperation, error) {
	rows, err := pool.Query(ctx, `
		select o.id, coalesce(bool_or(r.state = 'available'), false) as unfetched, count(r.id) > 0 as unscheduled
		from operations o
		left join river_job r on r.kind = 'operation' and (r.args ->> 'operation_id')::bigint = o.id
			and r.state in ('available', 'scheduled', 'retryable', 'pending')
		where o.state in ('running', 'undoing')
		and o.requested_at < now() - interval '2 seconds' -- its first job may be between River and the lock
		and not exists (select from pg_locks l where l.locktype = 'advisory' and l.classid = $1::oid and l.objid = o.id::oid
			and l.database = (select oid from pg_database where datname = current_database()))
		group by o.id
		having coalesce(max(r.scheduled_at) < now() - $2::interval, true)
		order by o.id`, uint32(lockSpace), overdueAfter)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[idleOperation])
}
