package workflow

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Store is the durable side of operations.
type Store interface {
	// Acquire elects the caller as the operation's runner and begins a new
	// attempt with a new epoch. ErrHeld when somebody else runs it, ErrEnded when
	// it is no longer open.
	Acquire(ctx context.Context, operationID int64) (Lease, error)
	// Save records changes in one transaction if epoch is still the newest, else
	// ErrOvertaken. Where a step Begins although a cancel was asked for, nothing is
	// recorded: ErrCancelled. It tells the live pages.
	Save(ctx context.Context, operationID, epoch int64, changes Changes) error
	// InTx runs fn in a transaction if epoch is still the newest, else ErrOvertaken.
	// A relaxed transaction does not wait for the disk: only for what the same
	// step would write again after a crash.
	InTx(ctx context.Context, operationID, epoch int64, relaxed bool, fn func(pgx.Tx) error) error
	// CancelRequested is who asked to cancel the operation, or "".
	CancelRequested(ctx context.Context, operationID int64) (string, error)
}

// Lease is the right to run an operation. Lost is closed when the right is gone
// because the connection that holds it broke.
type Lease interface {
	Epoch() int64
	Operation() platform.Operation
	Steps() []platform.OperationStep
	Lost() <-chan struct{}
	// Release gives the right back.
	Release()
}

// Changes are what one Save records. Zero fields stay as they are.
type Changes struct {
	Steps []StepChange
	// Begins a step before the point of no return, or with it: a cancel that was
	// accepted until now is kept.
	Begins bool
	// State of the operation, when it changes.
	State platform.OperationState
	// Reason replaces the operation's reason when not nil.
	Reason *string
	// NoReturnAt is set once, when the point of no return is passed.
	NoReturnAt *time.Time
	// NeedsPerson replaces the flag when not nil.
	NeedsPerson *bool
	// UndoTo goes with State: the step as far as which everything is taken back
	// before the operation begins again there. A State without it clears it.
	UndoTo *int
	// Then runs in the same transaction: what must be true together with it.
	Then func(context.Context, pgx.Tx) error
}

// StepChange is the newest state of one step.
type StepChange struct {
	Position   int
	State      platform.StepState
	Detail     string
	StartedAt  *time.Time
	FinishedAt *time.Time
}
