package jobs_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

// stopEngine lets a test act right before the old leader is stopped.
type stopEngine struct {
	jobs.Engine
	before func()
}

func (e *stopEngine) StopForSwitch(ctx context.Context, epoch int64, s engine.Server, slot string) (engine.ControlData, engine.Proof, error) {
	if e.before != nil {
		e.before()
	}
	return e.Engine.StopForSwitch(ctx, epoch, s, slot)
}

// A candidate that dies before it has everything can never get it, once the old
// leader is stopped: pooled clients do not wait for the deadline to find that out.
func TestMeasuredCandidateDiesInTheHold(t *testing.T) {
	stop := &stopEngine{}
	h := newHouse(t, withEngine(func(e jobs.Engine) jobs.Engine { stop.Engine = e; return stop }), func(h *house) { h.durable = true })
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 4)
	killed := false
	stop.before = func() {
		if !killed {
			killed = true
			h.kill9(follower)
		}
	}
	from := time.Now()
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	op = h.ended(op, err, platform.OperationUndone)
	p.mustWrite("after it was put back")
	gap := p.writers.Between(from, time.Now()).LongestGap
	t.Logf("a client waited for %s: %s", gap.Round(time.Millisecond), op.Reason)
	if gap > 4*time.Second {
		t.Errorf("a client waited for %s\n%s", gap, h.timeline(op))
	}
	p.close("after the candidate died", true)
	h.inOrder("after the candidate died")
}

// After the point of no return, too, nothing is promoted that lacks a commit:
// writes were let through again, and the candidate dies when the old leader is
// fenced anew.
func TestCandidateDiesWhenTheOldLeaderIsFencedAnew(t *testing.T) {
	t.Parallel()
	stop := &stopEngine{}
	h := newHouse(t, withEngine(func(e jobs.Engine) jobs.Engine { stop.Engine = e; return stop }), func(h *house) { h.durable = true })
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 4)
	stops, opened := 0, false
	stop.before = func() {
		if stops++; stops != 2 {
			return
		}
		h.kill9(follower)
		h.exec(leader, `create table not_there (n int)`)
	}
	h.setHook(func(when, what, step string) error {
		if opened || (point{when, what, step}) != (point{"before", "do", "unfollow"}) {
			return nil
		}
		opened = true
		server := h.serverOf(leader)
		server.Fenced = false
		epoch := h.nextEpoch() - 2 // that of the attempt, or one after it; a later one has a newer
		for _, act := range []func() error{
			func() error { return h.engine.Unfence(t.Context(), epoch, server) },
			func() error { return h.engine.Start(t.Context(), epoch, server) },
		} {
			if err := act(); err != nil {
				t.Error(err)
			}
		}
		return errKilled
	})
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	op = h.ended(op, err, platform.OperationCompleted)
	h.setHook(nil)
	if stops < 3 || !opened {
		t.Errorf("the old leader was stopped %d times; want once more after the candidate died\n%s", stops, h.timeline(op))
	}
	h.exec(follower, `insert into not_there values (1)`) // it is there
	h.tookOver(op)
	p.close("after the candidate died", true)
}

// The control database goes away, and stays away, while clients of pools are held
// before the point of no return: they go on with the old leader without it.
func TestMeasuredPooledClientsDoNotWaitForTheControlDatabase(t *testing.T) {
	h := newHouse(t, withOwnControl)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 4)
	away := make(chan time.Time, 1)
	h.setHook(func(when, what, step string) error {
		if (point{when, what, step}) == (point{"after", "do", "fence_writes"}) && len(away) == 0 {
			if err := h.stopControl(syscall.SIGKILL); err != nil {
				t.Error(err)
			}
			away <- time.Now()
		}
		return nil
	})
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		t.Fatal(err)
	}
	begin := <-away
	away <- begin
	p.mustWrite("while the control database is away")
	gap := p.writers.Between(begin, time.Now()).LongestGap
	t.Logf("a client waited for %s", gap.Round(time.Millisecond))
	if gap > 3*time.Second {
		t.Errorf("a client waited for %s although its server took writes", gap)
	}
	if _, err := h.engine.Control(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.setHook(nil)
	h.ended(op, nil, platform.OperationCompleted)
	p.close("after the control database came back", true)
}
