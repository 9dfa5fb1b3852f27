package jobs_test

import (
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// The process that runs a changeover is ended with kill -9, and another one is
// started in its place: it goes on within 10 s.
func TestChangeoverSurvivesKill9(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t)
	h.scale()
	points := pointsOf(platform.FollowerChangeover)
	if !everything() {
		var some []point
		for i := seed % 3; i < len(points)/2; i += 3 {
			some = append(some, points[2*i+(i+seed/3)%2]) // of a third of the steps, before or after
		}
		points = some
	}
	leader := h.leader("standard-0")
	for _, p := range points {
		follower := h.follower(leader, "standard-0")
		leader = h.killed9(leader, follower, p)
	}
}

func (h *house) killed9(old, follower platform.Database, p point) platform.Database {
	h.t.Helper()
	ctx := h.t.Context()
	h.handOver()
	b := h.openBook()
	b.watchBoth(old, follower)
	op, err := h.jobs.StartChangeover(ctx, actor, jobs.Changeover{LeaderID: old.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		h.t.Fatal(err)
	}
	first := h.startWorker(p, syscall.SIGKILL)
	first.awaitEnd()
	killed := time.Now()
	dead, err := db.OperationByID(ctx, h.pool, op.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	second := h.startWorker(point{}, 0)
	resumed := h.awaitEpoch(op, dead.Epoch)
	op = h.ended(op, nil, platform.OperationCompleted)
	second.kill()
	h.takeBack()
	report := b.close("after kill -9 " + p.String())
	leader := h.tookOver(op)
	h.destroyed(old)
	pause := resumed.Sub(killed)
	if pause > resumesWithin {
		h.t.Errorf("killed %s it went on only after %s", p, pause)
	}
	h.t.Logf("kill -9 %s: went on after %s, longest refusal %s", p, pause.Round(time.Millisecond), report.LongestRefusal.Round(time.Millisecond))
	return leader
}

// awaitEpoch waits for an attempt newer than epoch.
func (h *house) awaitEpoch(op platform.Operation, epoch int64) time.Time {
	h.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		now, err := db.OperationByID(h.t.Context(), h.pool, op.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		if now.Epoch > epoch {
			return time.Now()
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("nobody took operation %d over in 60 s", op.ID)
		}
	}
}

// The clients of a connection pool wait while the process that holds them is
// killed with kill -9, and for no longer than it takes another one to go on.
func TestMeasuredPooledClientsSurviveKill9(t *testing.T) {
	h := newHouse(t)
	leader := h.leader("standard-0")
	p := h.pooled(leader, 4)
	for _, at := range []point{{"after", "do", "pause_pools"}, {"after", "do", "fence_writes"}, {"after", "do", "unfollow"}} {
		follower := h.follower(leader, "standard-0")
		h.handOver()
		from := time.Now()
		op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		if err != nil {
			t.Fatal(err)
		}
		h.startWorker(at, syscall.SIGKILL).awaitEnd()
		killed := time.Now()
		second := h.startWorker(point{}, 0)
		op = h.ended(op, nil, platform.OperationCompleted)
		second.kill()
		h.takeBack()
		p.mustWrite("after kill -9 " + at.String())
		gap := p.writers.Between(from, time.Now()).LongestGap
		t.Logf("kill -9 %s: the longest wait of a client was %s, %s from the kill to the end of the operation", at, gap.Round(time.Millisecond), time.Since(killed).Round(time.Millisecond))
		// The wait of a switch, 3 s more, and what it takes to start the test's program.
		if gap > 5*time.Second {
			t.Errorf("kill -9 %s: a client waited for %s", at, gap)
		}
		old := leader
		leader = h.tookOver(op)
		h.destroyed(old)
	}
	p.close("killed three times", true)
}
