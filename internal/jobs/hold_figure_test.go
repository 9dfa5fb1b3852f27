package jobs_test

import (
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// For how long clients of pools were held is told also where the attempt that
// held them, or led them, died: what is not known of it makes the figure a least
// one, and never a missing one.
func TestHoldIsToldWhereverAnAttemptDies(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader := h.leader("standard-0")
	p := h.pooled(leader, 2)
	for _, c := range []struct {
		at      point
		atLeast bool
	}{
		{point{"before", "do", "resume_pools"}, false}, // the next attempt leads them, and knows since when they wait
		{point{"after", "do", "resume_pools"}, true},   // led, and nothing of it saved
		{point{"before", "do", "scale_up"}, true},      // led, and only the steps saved
		{point{"before", "do", "prove"}, true},
		{point{"after", "do", "prove"}, false},
	} {
		follower := h.follower(leader, "standard-0")
		died := time.Time{}
		h.setHook(func(when, what, step string) error {
			if (point{when, what, step}) == c.at && died.IsZero() {
				died = time.Now()
				return errKilled
			}
			return nil
		})
		begin := time.Now()
		op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		op = h.ended(op, err, platform.OperationCompleted)
		h.setHook(nil)
		facts, err := db.ChangeoverOf(t.Context(), h.pool, op.ID)
		if err != nil || died.IsZero() {
			t.Fatalf("%s: %v, died %v", c.at, err, died)
		}
		switch {
		case facts.HeldMS == nil:
			t.Errorf("killed %s: for how long clients were held is not told\n%s", c.at, h.timeline(op))
		case facts.HeldAtLeast != c.atLeast:
			t.Errorf("killed %s: %.0f ms, a least figure %v; want %v", c.at, *facts.HeldMS, facts.HeldAtLeast, c.atLeast)
		case *facts.HeldMS <= 0:
			t.Errorf("killed %s: %.0f ms", c.at, *facts.HeldMS)
		}
		// A figure that is not what the clients saw is none.
		if gap := p.writers.Between(begin, time.Now()).LongestGap; facts.HeldMS != nil && *facts.HeldMS > float64(gap.Milliseconds()+100) {
			t.Errorf("killed %s: clients are said to have waited for %.0f ms, and waited for %s at most", c.at, *facts.HeldMS, gap)
		}
		p.mustWrite("killed " + c.at.String())
		old := leader
		leader = h.tookOver(op)
		h.destroyed(old)
	}
	p.close("killed around the end of the hold", true)
}

// A guardian let the clients go on, and the program, started again, held them a
// second time: the first hold comes on top of what it measures.
func TestSecondHoldIsTheLeast(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 2)
	h.handOver()
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		t.Fatal(err)
	}
	h.startWorker(point{"after", "do", "fence_writes"}, syscall.SIGKILL).awaitEnd()
	p.mustWrite("let go by the guardian")
	h.awaitNoGuardian()
	again := h.startWorker(point{}, 0)
	op = h.ended(op, nil, platform.OperationCompleted)
	again.kill()
	h.takeBack()
	facts, err := db.ChangeoverOf(t.Context(), h.pool, op.ID)
	if err != nil || facts.HeldMS == nil || !facts.HeldAtLeast {
		t.Errorf("held twice: %v, %v ms, a least figure %v; want one that is\n%s", err, facts.HeldMS, facts.HeldAtLeast, h.timeline(op))
	}
	p.close("held twice", true)
}
