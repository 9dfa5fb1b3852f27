package jobs_test

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// The control database is restarted between every two steps, and after each
// step's act before its record. Each point is visited once; a changeover that is
// put back on the way is retried.
func TestControlDatabaseIsRestartedBetweenEveryTwoSteps(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t, withOwnControl)
	h.scale()
	leader := h.leader("standard-0")
	list := [][]point{nil, nil}
	for i, p := range pointsOf(platform.FollowerChangeover) {
		list[i%2] = append(list[i%2], p) // all "before", all "after"
	}
	if !everything() {
		list = [][]point{some(list[seed%2], 7, seed)}
	}
	for _, points := range list {
		follower := h.follower(leader, "standard-0")
		restarts := newKiller(points)
		b := h.openBook()
		b.watchBoth(leader, follower)
		h.setHook(func(when, what, step string) error {
			if errors.Is(restarts.hook(when, what, step), errKilled) {
				if err := h.restartControl(); err != nil {
					t.Errorf("restart the control database: %v", err)
				}
			}
			return nil
		})
		begin := time.Now()
		op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		op = h.ended(op, err, "")
		for op.State == platform.OperationUndone {
			t.Logf("put back: %s", op.Reason)
			h.putBack(op, leader, follower)
			op, err = h.jobs.Retry(t.Context(), op.ID)
			op = h.ended(op, err, "")
		}
		h.setHook(nil)
		took := time.Since(begin)
		report := b.close("after the restarts")
		restarts.check(t)
		old := leader
		leader = h.tookOver(op)
		h.destroyed(old)
		h.inOrder("after the old leader was destroyed")
		t.Logf("%d restarts in %s: longest pause %s, longest refusal %s", len(points), took.Round(time.Millisecond),
			restarts.longest.Round(time.Millisecond), report.LongestRefusal.Round(time.Millisecond))
	}
}

// The control database is killed with -9 while writes are refused, and stays
// away for five seconds: writes are let through long before it is back, and
// then the changeover goes on. After the point of no return it goes on, too.
func TestControlDatabaseIsKilledWhileWritesAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withOwnControl)
	h.scale()
	leader := h.leader("standard-0")
	points := []point{{"before", "do", "fence_writes"}, {"after", "do", "fence_writes"}, {"after", "do", "wait_until_zero_behind"}, {"before", "do", "unfollow"}}
	for _, p := range some(points, 1, newSeed(t)) {
		follower := h.follower(leader, "standard-0")
		b := h.openBook()
		b.watchBoth(leader, follower)
		once := newKiller([]point{p})
		var killed, back atomic.Pointer[time.Time]
		h.setHook(func(when, what, step string) error {
			if !errors.Is(once.hook(when, what, step), errKilled) {
				return nil
			}
			if err := h.stopControl(syscall.SIGKILL); err != nil {
				t.Errorf("kill the control database: %v", err)
			}
			now := time.Now()
			killed.Store(&now)
			time.AfterFunc(5*time.Second, func() {
				if _, err := h.engine.Control(context.Background()); err != nil {
					t.Errorf("start the control database: %v", err)
				}
				now := time.Now()
				back.Store(&now)
			})
			return nil
		})
		op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); killed.Load() == nil; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it never came to %s", p)
			}
		}
		time.Sleep(100 * time.Millisecond) // so that what follows began while writes are refused
		b.mustWrite("while the control database is away")
		away := time.Since(*killed.Load())
		// After the point of no return there is only the way on, and the app learns
		// of its new URL from the control database.
		noReturn := p.step == "unfollow"
		if back.Load() != nil && !noReturn {
			t.Errorf("killed %s: writes were refused for %s, until the control database was back", p, away)
		}
		op = h.ended(op, nil, platform.OperationCompleted)
		h.setHook(nil)
		b.close("after the control database was killed " + p.String())
		old := leader
		leader = h.tookOver(op)
		h.destroyed(old)
		facts, err := db.ChangeoverOf(t.Context(), h.pool, op.ID)
		if err != nil || *facts.OutageMS > 4000 && !noReturn {
			t.Errorf("the page counts the time in which writes went through: %.0f ms (%v)", *facts.OutageMS, err)
		}
		t.Logf("killed %s: writes again %s later; the page says %.0f ms of outage", p, away.Round(time.Millisecond), *facts.OutageMS)
	}
}
