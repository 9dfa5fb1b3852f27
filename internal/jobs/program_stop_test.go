package jobs_test

import (
	"context"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// The program is told to stop in the middle of the outage: whatever it does
// first, the app can write when it has stopped, and the changeover goes on when
// it is started again.
func TestProgramStopsInTheSwitch(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	for _, p := range []point{{"after", "do", "fence_writes"}, {"before", "do", "unfollow"}} {
		follower := h.follower(leader, "standard-0")
		b := h.openBook()
		b.watchBoth(leader, follower)
		stopped := make(chan error, 1)
		once := newKiller([]point{p})
		running := h.jobs
		h.setHook(func(when, what, step string) error {
			if once.hook(when, what, step) != nil {
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
					defer cancel()
					stopped <- running.Stop(ctx)
				}()
				time.Sleep(50 * time.Millisecond) // until the stop has reached the runner
			}
			return nil
		})
		op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-stopped; err != nil {
			t.Errorf("stop: %v", err)
		}
		h.jobs = nil
		h.setHook(nil)
		b.mustWrite("after the program has stopped " + p.String())
		h.open()
		op = h.ended(op, nil, platform.OperationCompleted)
		b.close("after the program was started again")
		old := leader
		leader = h.tookOver(op)
		h.destroyed(old)
	}
}

// The record of the point of no return was committed, but the answer was lost,
// so that the runner let writes through again: the next attempt finds the record
// and an old leader that has taken writes since. It fences once more, and they
// are not lost.
func TestWritesWereLetThroughAfterThePointOfNoReturn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	b := h.openBook()
	b.watchBoth(leader, follower)
	id := make(chan int64, 1)
	once := newKiller([]point{{"before", "do", "unfollow"}})
	h.setHook(func(when, what, step string) error {
		killed := once.hook(when, what, step)
		if killed == nil {
			return nil
		}
		op, err := db.OperationByID(t.Context(), h.pool, <-id)
		if err != nil || op.NoReturnAt == nil {
			t.Errorf("the point of no return is not recorded: %v", err)
		}
		server := h.serverOf(leader)
		server.Fenced = false
		if err := h.engine.Unfence(t.Context(), op.Epoch, server); err != nil {
			t.Error(err)
		}
		if err := h.engine.Start(t.Context(), op.Epoch, server); err != nil {
			t.Error(err)
		}
		b.mustWrite("while the old leader is open again")
		return killed
	})
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	id <- op.ID
	op = h.ended(op, err, platform.OperationCompleted)
	h.setHook(nil)
	b.close("after the changeover")
	h.tookOver(op)
}
