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

// The pause took several tries, between which clients went on, and the attempt
// that held them at last died before it noted since when: what is told is not more
// than they waited, and the least.
func TestHoldIsNotCountedFromItsFirstTry(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader := h.leader("standard-0")
	p := h.pooled(leader, 2)
	for _, dies := range []point{{"after", "do", "pause_pools"}, {"before", "do", "fence_writes"}} {
		follower := h.follower(leader, "standard-0")
		tried, died := false, false
		h.setHook(func(when, what, step string) error {
			switch at := (point{when, what, step}); {
			case at == point{"before", "do", "pause_pools"} && !tried:
				tried = true
				return errKilled
			case at == dies && !died:
				died = true
				return errKilled
			}
			return nil
		})
		begin := time.Now()
		op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		op = h.ended(op, err, platform.OperationCompleted)
		h.setHook(nil)
		if !tried || !died {
			t.Fatalf("%s: tried %v, died %v", dies, tried, died)
		}
		p.mustWrite("killed " + dies.String())
		p.mustNotWaitLess(op, begin, "killed "+dies.String())
		old := leader
		leader = h.tookOver(op)
		h.destroyed(old)
	}
	p.close("held at the second try", true)
}

// mustNotWaitLess requires that for how long clients were held is told as the
// least, and is not more than what they saw.
func (p *pooled) mustNotWaitLess(op platform.Operation, begin time.Time, when string) {
	p.h.t.Helper()
	gap := p.writers.Between(begin, time.Now()).LongestGap
	facts, err := db.ChangeoverOf(p.h.t.Context(), p.h.pool, op.ID)
	switch {
	case err != nil || facts.HeldMS == nil:
		p.h.t.Errorf("%s: %v, for how long clients were held is not told\n%s", when, err, p.h.timeline(op))
	case !facts.HeldAtLeast || *facts.HeldMS <= 0 || *facts.HeldMS > float64(gap.Milliseconds()+100):
		p.h.t.Errorf("%s: clients are said to have waited for %.0f ms (a least figure: %v), and waited for %s at most\n%s", when, *facts.HeldMS, facts.HeldAtLeast, gap, p.h.timeline(op))
	default:
		p.h.t.Logf("%s: clients are said to have waited for at least %.0f ms, and waited for %s at most", when, *facts.HeldMS, gap)
	}
}

// A guardian let the clients go on with the new leader, and the attempt that took
// over from it died, too: the time in which they were free is not told as one in
// which they waited.
func TestHoldEndsWhereAGuardianEndedIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 2)
	h.handOver()
	begin := time.Now()
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		t.Fatal(err)
	}
	h.startWorker(point{"after", "do", "unfollow"}, syscall.SIGKILL).awaitEnd()
	p.mustWrite("let go by the guardian")
	h.awaitNoGuardian()
	h.startWorker(point{"before", "do", "scale_up"}, syscall.SIGKILL).awaitEnd()
	h.awaitNoGuardian()
	again := h.startWorker(point{}, 0)
	op = h.ended(op, nil, platform.OperationCompleted)
	again.kill()
	h.takeBack()
	p.mustWrite("after the changeover")
	p.mustNotWaitLess(op, begin, "killed twice")
	p.close("killed twice", true)
}
