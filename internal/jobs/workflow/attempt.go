package workflow

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Attempt is one run of an operation by one runner; every procedure's state
// carries it.
type Attempt struct {
	Operation platform.Operation
	Epoch     int64
	Log       *slog.Logger

	recorder *recorder
	store    Store
	lease    Lease
	position int
	reason   string
	// canceller is who asked to cancel, kept fresh from the side so that the
	// stretch of downtime pays no query for it.
	canceller atomic.Pointer[string]
}

// Detail is what the page shows beside the current step.
func (a *Attempt) Detail(format string, args ...any) {
	a.recorder.detail(a.position, fmt.Sprintf(format, args...))
}

// Reason is why the operation is being put back; "" while it goes forward.
func (a *Attempt) Reason() string { return a.reason }

// InTx runs fn in a transaction of the control database that only commits while
// this attempt is the newest.
func (a *Attempt) InTx(ctx context.Context, fn func(pgx.Tx) error) error {
	return a.store.InTx(ctx, a.Operation.ID, a.Epoch, false, fn)
}

// InRelaxedTx is InTx without waiting for the disk.
func (a *Attempt) InRelaxedTx(ctx context.Context, fn func(pgx.Tx) error) error {
	return a.store.InTx(ctx, a.Operation.ID, a.Epoch, true, fn)
}

// StartedAt is when the named step began, over all attempts; nil if it has not.
func (a *Attempt) StartedAt(name string) *time.Time {
	for i := range a.recorder.steps {
		if s := a.recorder.state(i); s.Name == name {
			return s.StartedAt
		}
	}
	return nil
}

// FinishedAt is when the named step ended, over all attempts; nil if it has not.
func (a *Attempt) FinishedAt(name string) *time.Time {
	for i := range a.recorder.steps {
		if s := a.recorder.state(i); s.Name == name {
			return s.FinishedAt
		}
	}
	return nil
}

// Stands is whether the named step has begun and was not taken back since.
func (a *Attempt) Stands(name string) bool {
	for i := range a.recorder.steps {
		if s := a.recorder.state(i); s.Name == name {
			return s.State != platform.StepPending && s.State != platform.StepUndone
		}
	}
	return false
}
