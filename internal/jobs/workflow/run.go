package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// snoozeFrom is the shortest wait for which a runner is given back.
const snoozeFrom = 10 * time.Second

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

// Procedure is what a kind of operation does.
type Procedure[S any] struct {
	Kind  platform.OperationKind
	Steps []Step[S]
	// New makes the state that the steps share, from what the control database
	// holds. It is called once an attempt.
	New func(context.Context, *Attempt) (S, error)
	// Close releases what New and the steps opened.
	Close func(S)
	// Ended runs in the transaction that ends the operation.
	Ended func(S, context.Context, pgx.Tx, platform.OperationState) error
	// BeginsAgain runs in the transaction that lets the operation go on from its
	// Again step, after the rest was taken back for the reason.
	BeginsAgain func(S, context.Context, pgx.Tx, string) error
	// IsOvertaken tells the engine's errors that mean ErrOvertaken.
	IsOvertaken func(error) bool
}

// Hook is called before and after each step's Do ("do") and Undo ("undo"); an
// error ends the run on the spot, as a kill would, with nothing recorded.
type Hook func(when, what, step string) error

// Run runs the operation until it ends, waits long, or ctx ends. It returns nil
// when the operation has ended, *Snooze, ErrHeld, ErrEnded, ErrOvertaken, or an
// error after which it should be run again.
func (p *Procedure[S]) Run(ctx context.Context, store Store, operationID int64, log *slog.Logger, hook Hook) error {
	lease, err := store.Acquire(ctx, operationID)
	if err != nil {
		return err
	}
	defer lease.Release()
	op := lease.Operation()
	if err := p.checkSteps(lease.Steps()); err != nil {
		reason := err.Error()
		_ = store.Save(ctx, op.ID, lease.Epoch(), Changes{Reason: &reason})
		return err
	}
	a := &Attempt{Operation: op, Epoch: lease.Epoch(), store: store, lease: lease, recorder: newRecorder(store, lease),
		Log: log.With("operation", op.ID, "kind", string(op.Kind), "epoch", lease.Epoch())}
	state, err := p.New(ctx, a)
	if err != nil {
		return fmt.Errorf("prepare %s: %w", p.Kind, err)
	}
	if p.Close != nil {
		defer p.Close(state)
	}
	if hook == nil {
		hook = func(string, string, string) error { return nil }
	}
	r := &run[S]{p: p, a: a, state: state, hook: hook}
	stopWatching := r.watchCancel(ctx)
	defer stopWatching()
	return r.run(ctx)
}

// checkSteps compares the stored steps with those this program knows.
func (p *Procedure[S]) checkSteps(stored []platform.OperationStep) error {
	known := map[string]bool{}
	for _, s := range p.Steps {
		known[s.Name] = true
	}
	if len(stored) != len(p.Steps) {
		return fmt.Errorf("this operation was started by another version of Changeover with %d steps; this one knows %d. Start the version that began it", len(stored), len(p.Steps))
	}
	for i, s := range stored {
		if s.Name != p.Steps[i].Name {
			return fmt.Errorf("this operation was started by another version of Changeover that has a step %q; start the version that began it", s.Name)
		}
	}
	return nil
}

type run[S any] struct {
	p     *Procedure[S]
	a     *Attempt
	state S
	hook  Hook
}

func (r *run[S]) run(ctx context.Context) error {
	if r.a.Operation.State == platform.OperationUndoing {
		return r.undo(ctx, r.a.Operation.Reason, r.a.Operation.UndoTo)
	}
	failure, err := r.forward(ctx)
	if err != nil {
		return err
	}
	if failure != nil {
		return r.undo(ctx, failure.reason, r.backTo(failure))
	}
	return r.finish(ctx, platform.OperationCompleted, "")
}

// forward runs the steps that are left. A failure is why they must be put back;
// an error ends this run only.
func (r *run[S]) forward(ctx context.Context) (*failure, error) {
	noReturn := r.a.Operation.NoReturnAt != nil
	for i := range r.p.Steps {
		step := &r.p.Steps[i]
		state := r.a.recorder.state(i).State
		if state == platform.StepDone || state == platform.StepKept {
			continue
		}
		r.a.position = i
		ctx, cancelStretch := r.stretch(ctx, i, noReturn || step.NoReturn)
		defer cancelStretch()
		first := step.Downtime && (i == 0 || !r.p.Steps[i-1].Downtime)
		r.a.recorder.begin(i)
		if who := r.a.cancelledBy(); who != "" && !noReturn {
			// Also before the first step: what the operation's start has made is
			// the first step's to take back.
			return cancelledBy(who), nil
		}
		switch {
		case step.NoReturn && !noReturn:
			now := time.Now()
			saveCtx, cancel := r.bound(ctx, i, false)
			err := r.a.recorder.save(saveCtx, Changes{NoReturnAt: &now, Begins: true})
			cancel()
			if errors.Is(err, ErrCancelled) {
				return r.cancelled(ctx), nil
			}
			if err != nil {
				// Nothing irreversible was asked for yet: the writes go on where they were.
				return nil, r.letGo(ctx, i, err)
			}
			noReturn = true
		case first || !step.Downtime:
			err := r.a.recorder.save(ctx, Changes{Begins: !noReturn})
			if errors.Is(err, ErrCancelled) {
				return r.cancelled(ctx), nil
			}
			if err != nil {
				return nil, err
			}
		}
		stepCtx, cancel := r.bound(ctx, i, noReturn)
		stopWatch := func() {}
		if step.Downtime {
			stopWatch = r.a.recorder.watch(ctx)
		}
		failure, err := r.do(stepCtx, i, noReturn)
		stopWatch()
		cancel()
		if err != nil || failure != nil {
			if err != nil && step.Downtime && !noReturn && !isKill(err) && !errors.Is(err, ErrOvertaken) {
				return nil, r.letGo(ctx, i, err)
			}
			return failure, err
		}
		r.a.recorder.end(i, platform.StepDone, "")
		last := i+1 == len(r.p.Steps) || !r.p.Steps[i+1].Downtime
		if !step.Downtime || last {
			if err := r.a.recorder.save(ctx, Changes{}); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// bound gives a step its deadline. A stretch of downtime has one, counted from
// when its first step began, in whichever attempt that was.
func (r *run[S]) bound(ctx context.Context, i int, noReturn bool) (context.Context, context.CancelFunc) {
	if noReturn {
		return context.WithCancel(ctx)
	}
	from := i
	if r.p.Steps[i].Downtime {
		for from > 0 && r.p.Steps[from-1].Downtime {
			from--
		}
	}
	limit := r.p.Steps[from].Deadline
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, r.a.recorder.state(from).StartedAt.Add(limit), errDeadline)
}

var errDeadline = errors.New("deadline")

// do runs one step until it is done. Before the point of no return it gives up
// after a deadline, an Abort, a cancel or too many errors; after it, never.
func (r *run[S]) do(ctx context.Context, i int, noReturn bool) (*failure, error) {
	step := &r.p.Steps[i]
	lost := r.loseWith(ctx, step.Downtime)
	defer lost.stop()
	ctx = lost.ctx
	for tries := 1; ; tries++ {
		if err := r.hook("before", "do", step.Name); err != nil {
			return nil, &killError{err}
		}
		err := step.Do(r.state, ctx)
		if hookErr := r.hook("after", "do", step.Name); hookErr != nil {
			return nil, &killError{hookErr}
		}
		if err == nil {
			return nil, nil
		}
		if errors.Is(err, ErrOvertaken) || (r.p.IsOvertaken != nil && r.p.IsOvertaken(err)) {
			return nil, fmt.Errorf("%w: %w", ErrOvertaken, err)
		}
		pause := time.Duration(min(tries, 10)) * 500 * time.Millisecond
		var wait *waitError
		var abort *abortError
		switch {
		case errors.Is(context.Cause(ctx), errDeadline):
			return r.fail(i, fmt.Sprintf("The deadline of %s passed: %s.", r.deadline(i), trimEnd(err))), nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.As(err, &wait):
			tries, pause = 0, wait.after
			r.a.recorder.detail(i, wait.reason)
			if !step.Downtime {
				if err := r.a.recorder.save(ctx, Changes{}); err != nil {
					return nil, err
				}
				if pause >= snoozeFrom {
					return nil, &Snooze{pause}
				}
			}
		case noReturn:
			// Only forward, for ever, and shout.
			r.a.Log.Error("a step after the point of no return fails; it is tried again", "step", step.Name, "try", tries, "error", err)
			r.a.recorder.detail(i, err.Error())
			needs, reason := tries >= 3, err.Error()
			if err := r.a.recorder.save(ctx, Changes{NeedsPerson: &needs, Reason: &reason}); errors.Is(err, ErrOvertaken) {
				return nil, err
			}
		case errors.As(err, &abort):
			f := r.fail(i, abort.reason)
			f.all = abort.all
			return f, nil
		case step.Downtime && lost.isLost():
			// The control database went away while writes are refused: no more
			// tries, they are let through again.
			return nil, err
		case tries >= 5 || isSentence(err):
			return r.fail(i, err.Error()), nil
		default:
			r.a.Log.Warn("a step failed; it is tried again", "step", step.Name, "try", tries, "error", err)
			r.a.recorder.detail(i, err.Error())
			if !step.Downtime {
				if err := r.a.recorder.save(ctx, Changes{}); err != nil {
					return nil, err
				}
			}
		}
		if !r.pause(ctx, pause) {
			if errors.Is(context.Cause(ctx), errDeadline) {
				return r.fail(i, fmt.Sprintf("The deadline of %s passed: %s.", r.deadline(i), trimEnd(err))), nil
			}
			return nil, context.Cause(ctx)
		}
		if who := r.a.cancelledBy(); who != "" && !noReturn {
			return cancelledBy(who), nil
		}
	}
}

func (r *run[S]) pause(ctx context.Context, d time.Duration) bool {
	end := time.Now().Add(d)
	for {
		left := time.Until(end)
		if left <= 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(min(left, 200*time.Millisecond)):
			if r.a.cancelledBy() != "" {
				return true
			}
		}
	}
}

func (r *run[S]) finish(ctx context.Context, state platform.OperationState, reason string) error {
	no := false
	return r.a.recorder.save(ctx, Changes{State: state, Reason: &reason, NeedsPerson: &no, Then: func(ctx context.Context, tx pgx.Tx) error {
		if r.p.Ended == nil {
			return nil
		}
		return r.p.Ended(r.state, ctx, tx, state)
	}})
}
