package workflow

import (
	"context"
	"time"
)

// finishWithin is how long a stretch during which writes are refused may go on
// after the program was told to stop.
const finishWithin = 10 * time.Second

// stretch is the context for the step at position i. Where writes are refused
// and the way on is certain (forward after the point of no return, or back), a
// stop of the program waits for the end of it: what it would leave behind until
// the next start is a database that takes no writes, or an app that is down.
func (r *run[S]) stretch(ctx context.Context, i int, certain bool) (context.Context, context.CancelFunc) {
	step := &r.p.Steps[i]
	if !certain || !step.Downtime && !step.AppDown {
		return ctx, func() {}
	}
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		time.AfterFunc(finishWithin, func() { cancel(context.Cause(ctx)) })
	})
	return longer, func() { unhook(); cancel(nil) }
}

// cancelled is the reason of an operation whose cancel came just in time.
func (r *run[S]) cancelled(ctx context.Context) *failure {
	who := r.a.cancelledBy()
	if who == "" {
		who, _ = r.a.store.CancelRequested(ctx, r.a.Operation.ID) // unknown, it is still a cancel
	}
	return cancelledBy(who)
}
