package workflow

import (
	"context"
	"errors"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// undo takes the steps back in reverse, for as long as it needs: an undo that
// fails is tried again. The first thing recorded is that it undoes, and how far,
// so that no later attempt goes forward before that is done. With to, the steps
// after that one are taken back, and the operation begins again there.
func (r *run[S]) undo(ctx context.Context, reason string, to *int) error {
	r.a.reason = reason
	if err := r.a.recorder.save(ctx, Changes{State: platform.OperationUndoing, Reason: &reason, UndoTo: to}); err != nil {
		// Also when this cannot be recorded, no write may stay refused.
		return r.letGo(ctx, r.a.position, err)
	}
	last := 0
	if to != nil {
		last = *to + 1
	}
	for i := len(r.p.Steps) - 1; i >= last; i-- {
		state := r.a.recorder.state(i).State
		if state == platform.StepPending || state == platform.StepUndone || state == platform.StepKept {
			continue
		}
		step := &r.p.Steps[i]
		if step.Undo == nil {
			if state == platform.StepRunning { // it never finished, and left nothing behind
				r.a.recorder.end(i, platform.StepUndone, "")
			}
			continue
		}
		if err := r.undoStep(ctx, i); err != nil {
			return err
		}
	}
	if to != nil {
		return r.beginAgain(ctx, *to, reason)
	}
	return r.finish(ctx, platform.OperationUndone, reason)
}

// backTo is the step as far as which a failure takes everything back; nil for all.
func (r *run[S]) backTo(f *failure) *int {
	if f.all {
		return nil
	}
	for i := r.a.position - 1; i >= 0; i-- {
		if r.p.Steps[i].Again {
			return &i
		}
	}
	return nil
}

// beginAgain lets the operation go on from the step, as a new attempt: nothing
// that this one had in its hands is true any more.
func (r *run[S]) beginAgain(ctx context.Context, from int, reason string) error {
	r.a.recorder.forget(from)
	no, none := false, ""
	err := r.a.recorder.save(ctx, Changes{State: platform.OperationRunning, Reason: &none, NeedsPerson: &no, Then: func(ctx context.Context, tx pgx.Tx) error {
		if r.p.BeginsAgain == nil {
			return nil
		}
		return r.p.BeginsAgain(r.state, ctx, tx, reason)
	}})
	if err != nil {
		return err
	}
	return &Snooze{}
}

func (r *run[S]) undoStep(ctx context.Context, i int) error {
	step := &r.p.Steps[i]
	failed := r.a.recorder.state(i).State == platform.StepFailed
	r.a.position = i
	ctx, cancel := r.stretch(ctx, i, true)
	defer cancel()
	// Letting writes through again waits for nobody: not for the control
	// database either, whose answer only the record needs.
	lost := r.loseWith(ctx, step.Downtime)
	defer lost.stop()
	for tries := 1; ; tries++ {
		if err := r.hook("before", "undo", step.Name); err != nil {
			return &killError{err}
		}
		err := step.Undo(r.state, lost.ctx)
		if hookErr := r.hook("after", "undo", step.Name); hookErr != nil {
			return &killError{hookErr}
		}
		var kept *keptError
		switch {
		case err == nil && failed:
			// It stays marked as the one that failed; that it was put back shows in the verdict.
			return r.a.recorder.save(ctx, Changes{})
		case err == nil:
			// Its times stay those of what it did.
			r.a.recorder.note(i, func(s *platform.OperationStep) { s.State = platform.StepUndone })
			return r.a.recorder.save(ctx, Changes{})
		case errors.As(err, &kept):
			r.a.recorder.end(i, platform.StepKept, kept.detail)
			return r.a.recorder.save(ctx, Changes{})
		case errors.Is(err, ErrOvertaken), r.p.IsOvertaken != nil && r.p.IsOvertaken(err):
			return ErrOvertaken
		case lost.ctx.Err() != nil:
			return context.Cause(lost.ctx)
		}
		r.a.Log.Error("taking a step back fails; it is tried again", "step", step.Name, "try", tries, "error", err)
		needs, why := tries >= 3, "Taking back the step \""+step.Title+"\" fails and is tried again: "+err.Error()
		if err := r.a.recorder.save(ctx, Changes{NeedsPerson: &needs, Reason: &why}); errors.Is(err, ErrOvertaken) {
			return err
		}
		select {
		case <-lost.ctx.Done():
			return context.Cause(lost.ctx)
		case <-time.After(time.Duration(min(tries, 10)) * 500 * time.Millisecond):
		}
	}
}

// letGo is for the one case in which the record cannot be kept: the control
// database is gone while writes are refused and before the point of no return.
// Writes are let through again first; the next attempt sees from the servers how
// things stand and either tries once more or puts everything back. The engine's
// epochs keep this from undoing what a newer attempt does.
func (r *run[S]) letGo(ctx context.Context, i int, cause error) error {
	if errors.Is(cause, ErrOvertaken) || isKill(cause) {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for ; i >= 0 && r.p.Steps[i].Downtime; i-- {
		step := &r.p.Steps[i]
		if step.Undo == nil {
			continue
		}
		for tries := 1; ; tries++ {
			err := step.Undo(r.state, ctx)
			if err == nil {
				break
			}
			r.a.Log.Error("writes cannot be let through again yet", "step", step.Name, "error", err, "because", cause)
			if ctx.Err() != nil || errors.Is(err, ErrOvertaken) || (r.p.IsOvertaken != nil && r.p.IsOvertaken(err)) {
				return errors.Join(cause, err)
			}
			time.Sleep(time.Duration(min(tries, 4)) * 250 * time.Millisecond)
		}
	}
	return cause
}

// lossContext ends with the lease outside the downtime. Inside it the step goes
// on: whoever holds the newest epoch decides there, not a broken connection.
type lossContext struct {
	ctx  context.Context
	lost <-chan struct{}
	stop func()
}

func (l lossContext) isLost() bool {
	select {
	case <-l.lost:
		return true
	default:
		return false
	}
}

func (r *run[S]) loseWith(ctx context.Context, downtime bool) lossContext {
	ctx, cancel := context.WithCancelCause(ctx)
	gone := r.a.lease.Lost()
	if downtime {
		return lossContext{ctx, gone, func() { cancel(nil) }}
	}
	done := make(chan struct{})
	go func() {
		select {
		case <-gone:
			cancel(errLost)
		case <-done:
		}
	}()
	return lossContext{ctx, gone, func() { close(done); cancel(nil) }}
}

var errLost = errors.New("the connection that elects this runner is gone")

type killError struct{ err error }

func (k *killError) Error() string { return "killed: " + k.err.Error() }
func (k *killError) Unwrap() error { return k.err }

func isKill(err error) bool {
	var k *killError
	return errors.As(err, &k)
}

func (a *Attempt) cancelledBy() string {
	if who := a.canceller.Load(); who != nil {
		return *who
	}
	return a.Operation.CancelRequestedBy
}

// watchCancel keeps the canceller fresh from the side.
func (r *run[S]) watchCancel(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(250 * time.Millisecond):
			}
			if who, err := r.a.store.CancelRequested(ctx, r.a.Operation.ID); err == nil && who != "" {
				r.a.canceller.Store(&who)
				return
			}
		}
	}()
	return cancel
}
