package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// lockSpace keeps our advisory locks apart from River's.
const lockSpace = 0x6368

// store is the durable side of operations, in the control database.
type store struct{ pool *pgxpool.Pool }

func overtaken(err error) error {
	if errors.Is(err, db.ErrOvertaken) {
		return fmt.Errorf("%w", workflow.ErrOvertaken)
	}
	return err
}

// Acquire holds a session advisory lock on a connection of its own: when the
// process dies, the lock is gone with it, and when the connection breaks, the
// runner knows that it is no longer elected.
func (s store) Acquire(ctx context.Context, operationID int64) (workflow.Lease, error) {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig.Copy())
	if err != nil {
		return nil, fmt.Errorf("connect to elect a runner: %w", err)
	}
	l := &lease{conn: conn, lost: make(chan struct{})}
	if err := l.elect(ctx, operationID); err != nil {
		closeSoon(conn)
		return nil, err
	}
	listenCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop, l.stopped = stop, make(chan struct{})
	go func() {
		defer close(l.stopped)
		// Nothing is ever sent on this connection: it returns when the
		// connection breaks or when the lease is given back.
		if _, err := conn.WaitForNotification(listenCtx); err != nil && listenCtx.Err() == nil {
			close(l.lost)
		}
	}()
	return l, nil
}

type lease struct {
	conn    *pgx.Conn
	op      platform.Operation
	steps   []platform.OperationStep
	lost    chan struct{}
	stop    func()
	stopped chan struct{}
}

func (l *lease) elect(ctx context.Context, operationID int64) error {
	var won bool
	if err := l.conn.QueryRow(ctx, `select pg_try_advisory_lock($1, $2)`, lockSpace, int32(operationID)).Scan(&won); err != nil {
		return fmt.Errorf("elect a runner: %w", err)
	}
	if !won {
		return workflow.ErrHeld
	}
	op, err := db.BeginAttempt(ctx, l.conn, operationID)
	if errors.Is(err, db.ErrOvertaken) {
		return workflow.ErrEnded
	}
	if err != nil {
		return fmt.Errorf("begin an attempt: %w", err)
	}
	l.op = op
	l.steps, err = db.OperationSteps(ctx, l.conn, operationID)
	return err
}

func (l *lease) Epoch() int64                    { return l.op.Epoch }
func (l *lease) Operation() platform.Operation   { return l.op }
func (l *lease) Steps() []platform.OperationStep { return l.steps }
func (l *lease) Lost() <-chan struct{}           { return l.lost }
func (l *lease) Release()                        { l.stop(); <-l.stopped; closeSoon(l.conn) }

func closeSoon(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// Save asks twice when the control database did not answer: it may only have
// been restarted, and then every connection of the pool is dead, or the commit
// may have come through. What is written twice is the same.
func (s store) Save(ctx context.Context, operationID, epoch int64, c workflow.Changes) error {
	err := s.save(ctx, operationID, epoch, c)
	if platform.KindOf(err) == platform.KindUnavailable && ctx.Err() == nil {
		s.pool.Reset()
		err = s.save(ctx, operationID, epoch, c)
	}
	return err
}

func (s store) save(ctx context.Context, operationID, epoch int64, c workflow.Changes) error {
	return overtaken(db.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		op, err := db.LockEpoch(ctx, tx, operationID, epoch)
		if err != nil {
			return err
		}
		if c.Begins && op.CancelRequestedBy != "" {
			return workflow.ErrCancelled
		}
		for _, step := range c.Steps {
			if err := db.UpdateStep(ctx, tx, platform.OperationStep{OperationID: operationID, Position: step.Position, State: step.State,
				Detail: step.Detail, StartedAt: step.StartedAt, FinishedAt: step.FinishedAt}); err != nil {
				return fmt.Errorf("update step: %w", err)
			}
		}
		if c.Then != nil {
			if err := c.Then(ctx, tx); err != nil {
				return err
			}
		}
		if op.State != c.State && (c.State == platform.OperationCompleted || c.State == platform.OperationUndone) {
			action, detail := "complete ", ""
			if c.State == platform.OperationUndone {
				action, detail = "put back ", op.Reason
				if c.Reason != nil {
					detail = *c.Reason
				}
			}
			if err := db.AddProgramAudit(ctx, tx, op.DatabaseID, action+strings.ToLower(op.Kind.Title()), detail); err != nil {
				return err
			}
		}
		return db.UpdateOperation(ctx, tx, op, db.OperationChange{State: c.State, Reason: c.Reason, NoReturnAt: c.NoReturnAt, NeedsPerson: c.NeedsPerson, UndoTo: c.UndoTo})
	}))
}

func (s store) InTx(ctx context.Context, operationID, epoch int64, relaxed bool, fn func(pgx.Tx) error) error {
	err := db.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if relaxed {
			if _, err := tx.Exec(ctx, `set local synchronous_commit = off`); err != nil {
				return err
			}
		}
		if _, err := db.LockEpoch(ctx, tx, operationID, epoch); err != nil {
			return err
		}
		return fn(tx)
	})
	if platform.KindOf(err) == platform.KindUnavailable {
		s.pool.Reset() // the next try, which the step makes, finds fresh connections
	}
	return overtaken(err)
}

func (s store) CancelRequested(ctx context.Context, operationID int64) (string, error) {
	return db.CancelRequested(ctx, s.pool, operationID)
}
