package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// ErrOvertaken means that a newer attempt owns the operation, or that it ended.
var ErrOvertaken = errors.New("a newer attempt owns the operation")

// NewOperation is what starting an operation needs to know.
type NewOperation struct {
	Kind        platform.OperationKind
	DatabaseID  int64
	TargetID    *int64 // the other database it touches, claimed too
	AppID       *int64
	RequestedBy string
	StepNames   []string // in order; stored, since another version may finish the operation
}

const operationColumns = `o.id, o.kind, o.state, o.database_id, o.target_id, o.app_id, o.reason, o.cancel_requested_by,
	o.requested_by, o.requested_at, o.started_at, o.ended_at, o.no_return_at, o.attempt, o.epoch, o.needs_person, o.undo_to`

// operationFields are where operationColumns go.
func operationFields(o *platform.Operation) []any {
	return []any{&o.ID, &o.Kind, &o.State, &o.DatabaseID, &o.TargetID, &o.AppID, &o.Reason, &o.CancelRequestedBy,
		&o.RequestedBy, &o.RequestedAt, &o.StartedAt, &o.EndedAt, &o.NoReturnAt, &o.Attempt, &o.Epoch, &o.NeedsPerson, &o.UndoTo}
}

func scanOperation(row pgx.CollectableRow) (platform.Operation, error) {
	var o platform.Operation
	err := row.Scan(operationFields(&o)...)
	return o, err
}

func oneOperation(ctx context.Context, q Querier, sql string, args ...any) (platform.Operation, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return platform.Operation{}, translate(err)
	}
	op, err := pgx.CollectExactlyOneRow(rows, scanOperation)
	return op, translate(err)
}

func manyOperations(ctx context.Context, q Querier, sql string, args ...any) ([]platform.Operation, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(err)
	}
	list, err := pgx.CollectRows(rows, scanOperation)
	return list, translate(err)
}

// InsertOperation starts an operation: its row, its steps, and its claims on
// every database that it touches. A database that is claimed already is a
// Conflict whose Link is the operation that is in the way.
func InsertOperation(ctx context.Context, tx pgx.Tx, n NewOperation) (platform.Operation, error) {
	op, err := oneOperation(ctx, tx, `
		insert into operations as o (kind, database_id, target_id, app_id, requested_by)
		values ($1, $2, $3, $4, $5) returning `+operationColumns,
		n.Kind, n.DatabaseID, n.TargetID, n.AppID, n.RequestedBy)
	if err != nil {
		return op, fmt.Errorf("insert operation: %w", err)
	}
	if err := claim(ctx, tx, op); err != nil {
		return op, err
	}
	_, err = tx.Exec(ctx, `
		insert into operation_steps (operation_id, position, name)
		select $1, ordinality - 1, name from unnest($2::text[]) with ordinality as t(name, ordinality)`, op.ID, n.StepNames)
	if err != nil {
		return op, fmt.Errorf("insert steps: %w", err)
	}
	return op, notifyOperation(ctx, tx, op)
}

// notifyOperation tells the live pages of everything that shows the operation.
func notifyOperation(ctx context.Context, q Querier, op platform.Operation) error {
	payloads := []string{fmt.Sprintf("operation:%d", op.ID), fmt.Sprintf("database:%d", op.DatabaseID), "databases", "rail"}
	if op.TargetID != nil {
		payloads = append(payloads, fmt.Sprintf("database:%d", *op.TargetID))
	}
	return Notify(ctx, q, payloads...)
}

// OperationByID finds an operation.
func OperationByID(ctx context.Context, q Querier, id int64) (platform.Operation, error) {
	op, err := oneOperation(ctx, q, `select `+operationColumns+` from operations o where o.id = $1`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return op, noOperation(id)
	}
	return op, err
}

// OperationsByID are those of the ids that exist.
func OperationsByID(ctx context.Context, q Querier, ids []int64) (map[int64]platform.Operation, error) {
	list, err := manyOperations(ctx, q, `select `+operationColumns+` from operations o where o.id = any($1)`, ids)
	byID := make(map[int64]platform.Operation, len(list))
	for _, op := range list {
		byID[op.ID] = op
	}
	return byID, err
}

// OpenOperations are all operations that still have work to do, oldest first.
func OpenOperations(ctx context.Context, q Querier) ([]platform.Operation, error) {
	return manyOperations(ctx, q, `select `+operationColumns+` from operations o where o.state in ('running', 'undoing') order by o.id`)
}

// OperationSteps are an operation's steps in order.
func OperationSteps(ctx context.Context, q Querier, operationID int64) ([]platform.OperationStep, error) {
	rows, err := q.Query(ctx, `
		select operation_id, position, name, state, detail, started_at, finished_at
		from operation_steps where operation_id = $1 order by position`, operationID)
	if err != nil {
		return nil, translate(err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (platform.OperationStep, error) {
		var s platform.OperationStep
		err := row.Scan(&s.OperationID, &s.Position, &s.Name, &s.State, &s.Detail, &s.StartedAt, &s.FinishedAt)
		return s, err
	})
	return list, translate(err)
}

// BeginAttempt gives the operation a new epoch; ErrOvertaken when it has ended.
func BeginAttempt(ctx context.Context, q Querier, id int64) (platform.Operation, error) {
	op, err := oneOperation(ctx, q, `
		update operations o set epoch = nextval('epochs'), started_at = coalesce(started_at, now())
		where o.id = $1 and o.state in ('running', 'undoing') returning `+operationColumns, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return op, ErrOvertaken
	}
	return op, err
}

// GuardianEpoch is the epoch of an attempt's guardian. Epochs are every other
// number, so that it lies between its attempt's and any that is drawn later,
// whenever it is asked for.
func GuardianEpoch(attempt int64) int64 { return attempt + 1 }

// LockEpoch makes sure that epoch is the operation's newest for the rest of the
// transaction; else ErrOvertaken.
func LockEpoch(ctx context.Context, tx pgx.Tx, operationID, epoch int64) (platform.Operation, error) {
	op, err := oneOperation(ctx, tx, `
		select `+operationColumns+` from operations o
		where o.id = $1 and o.epoch = $2 and o.state in ('running', 'undoing') for update`, operationID, epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return op, ErrOvertaken
	}
	return op, err
}

// LockOperation is OperationByID that holds the row until the transaction ends.
func LockOperation(ctx context.Context, tx pgx.Tx, id int64) (platform.Operation, error) {
	op, err := oneOperation(ctx, tx, `select `+operationColumns+` from operations o where o.id = $1 for update`, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return op, platform.NotFound("There is no operation %d.", id)
	}
	return op, err
}

// OperationChange is what changes in an operation's row; nil and empty fields stay.
type OperationChange struct {
	State       platform.OperationState
	Reason      *string
	NoReturnAt  *time.Time
	NeedsPerson *bool
	// UndoTo is the step from which it begins again once it is put back that far.
	// Whenever the state changes without it, none is left.
	UndoTo *int
}

// UpdateOperation writes a change, and gives the claims back when it ends the
// operation. The caller holds LockEpoch.
func UpdateOperation(ctx context.Context, tx pgx.Tx, op platform.Operation, c OperationChange) error {
	ends := c.State != "" && !c.State.Open()
	_, err := tx.Exec(ctx, `
		update operations set
			state = coalesce(nullif($2, ''), state), reason = coalesce($3, reason),
			no_return_at = coalesce(no_return_at, $4), needs_person = coalesce($5, needs_person),
			ended_at = case when $6 then clock_timestamp() else ended_at end,
			undo_to = case when $2 = '' then undo_to else $7 end
		where id = $1`, op.ID, string(c.State), c.Reason, c.NoReturnAt, c.NeedsPerson, ends, c.UndoTo)
	if err != nil {
		return fmt.Errorf("update operation: %w", err)
	}
	if ends {
		if _, err := tx.Exec(ctx, `delete from operation_claims where operation_id = $1`, op.ID); err != nil {
			return fmt.Errorf("give claims back: %w", err)
		}
	}
	return notifyOperation(ctx, tx, op)
}

// UpdateStep writes the newest state of a step.
func UpdateStep(ctx context.Context, tx pgx.Tx, s platform.OperationStep) error {
	_, err := tx.Exec(ctx, `
		update operation_steps set state = $3, detail = $4, started_at = $5, finished_at = $6
		where operation_id = $1 and position = $2`, s.OperationID, s.Position, s.State, s.Detail, s.StartedAt, s.FinishedAt)
	return err
}

// tooLate is a Conflict of an operation with what is asked of it; it leads to
// the operation, which says how it ended.
func tooLate(id int64, format string, args ...any) error {
	err := platform.Conflict(format, args...)
	err.Link = fmt.Sprintf("/operations/%d", id)
	return err
}

// RequestCancel notes that somebody wants the operation put back. It is a
// Conflict after the point of no return and when the operation has ended.
func RequestCancel(ctx context.Context, tx pgx.Tx, id int64, actor string) error {
	op, err := oneOperation(ctx, tx, `select `+operationColumns+` from operations o where o.id = $1 for update`, id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return noOperation(id)
	case err != nil:
		return err
	case !op.State.Open():
		return tooLate(id, "This operation has ended; there is nothing left to cancel.")
	case op.NoReturnAt != nil:
		return tooLate(id, "The point of no return was passed at %s UTC; the operation only goes forward now.", op.NoReturnAt.UTC().Format("15:04:05"))
	case op.CancelRequestedBy != "" || op.State == platform.OperationUndoing && op.UndoTo == nil:
		return nil
	}
	if _, err := tx.Exec(ctx, `update operations set cancel_requested_by = $2 where id = $1`, id, actor); err != nil {
		return err
	}
	return notifyOperation(ctx, tx, op)
}

// CancelRequested is who asked to cancel, or "".
func CancelRequested(ctx context.Context, q Querier, id int64) (string, error) {
	var who string
	err := q.QueryRow(ctx, `select cancel_requested_by from operations where id = $1`, id).Scan(&who)
	return who, translate(err)
}

// ReopenOperation makes an undone operation run again from its failed step: it
// takes its claims again and sets every step but the kept ones to pending.
func ReopenOperation(ctx context.Context, tx pgx.Tx, id int64) (platform.Operation, error) {
	op, err := oneOperation(ctx, tx, `
		update operations o set state = 'running', reason = '', cancel_requested_by = '', ended_at = null, started_at = null,
			needs_person = false, attempt = attempt + 1
		where o.id = $1 and o.state = 'undone' returning `+operationColumns, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return op, platform.Conflict("Only an operation that was put back can be tried again.")
	}
	if err != nil {
		return op, err
	}
	if err := claim(ctx, tx, op); err != nil {
		return op, err
	}
	_, err = tx.Exec(ctx, `
		update operation_steps set state = 'pending', detail = '', started_at = null, finished_at = null
		where operation_id = $1 and state <> 'kept'`, id)
	if err != nil {
		return op, err
	}
	return op, notifyOperation(ctx, tx, op)
}

// NextEpoch is a new epoch for an act on a server outside any operation.
func NextEpoch(ctx context.Context, q Querier) (int64, error) {
	return value[int64](ctx, q, nil, `select nextval('epochs')`)
}

func noOperation(id int64) error {
	return platform.NotFound("There is no operation %d.", id)
}
