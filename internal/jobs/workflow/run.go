package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// snoozeFrom is the shortest wait for which a runner is given back.
const snoozeFrom = 10 * time.Second

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
	known, err := p.as(lease.Steps())
	if err != nil {
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
	r := &run[S]{p: known, a: a, state: state, hook: hook}
	stopWatching := r.watchCancel(ctx)
	defer stopWatching()
	return r.run(ctx)
}

// as is the procedure with the stored steps: those of this program, without
// optional ones that the operation was started without.
func (p *Procedure[S]) as(stored []platform.OperationStep) (*Procedure[S], error) {
	known := map[string]bool{}
	for _, s := range p.Steps {
		known[s.Name] = true
	}
	for _, s := range stored {
		if !known[s.Name] {
			return nil, fmt.Errorf("this operation was started by another version of Changeover that has a step %q; start the version that began it", s.Name)
		}
	}
	fitted := *p
	fitted.Steps = nil
	for _, s := range p.Steps {
		switch at := len(fitted.Steps); {
		case at < len(stored) && stored[at].Name == s.Name:
			fitted.Steps = append(fitted.Steps, s)
		case !s.Optional:
			return nil, fmt.Errorf("this operation was started by another version of Changeover, without the step %q or in another order; start the version that began it", s.Name)
		}
	}
	if len(fitted.Steps) != len(stored) {
		return nil, fmt.Errorf("this operation was started by another version of Changeover that has its %d steps in another order; start the version that began it", len(stored))
	}
	return &fitted, nil
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

func (r *run[S]) finish(ctx context.Context, state platform.OperationState, reason string) error {
	no := false
	return r.a.recorder.save(ctx, Changes{State: state, Reason: &reason, NeedsPerson: &no, Then: func(ctx context.Context, tx pgx.Tx) error {
		if r.p.Ended == nil {
			return nil
		}
		return r.p.Ended(r.state, ctx, tx, state)
	}})
}
