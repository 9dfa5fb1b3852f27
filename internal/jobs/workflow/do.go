package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"
)

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
