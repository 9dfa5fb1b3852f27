package jobs_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// A guardian opened the old leader after the point of no return, as it may, and
// then that dies, too: killed, or stopped with everything else. Started again,
// the program opens it once more, so that it ends in order, and completes the
// changeover with every row.
func TestOldLeaderDiesThatAGuardianHasOpened(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(h *house) { h.durable = true })
	leader := h.leader("standard-0")
	p := h.pooled(leader, 4)
	for _, c := range []struct {
		name string
		dies func()
	}{
		{"killed", func() { h.kill9(leader) }},
		{"stopped with everything else", func() {
			if err := h.engine.StopAll(context.WithoutCancel(t.Context())); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		follower := h.follower(leader, "standard-0")
		h.handOver()
		op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		if err != nil {
			t.Fatal(err)
		}
		h.startWorker(point{"before", "do", "unfollow"}, syscall.SIGKILL).awaitEnd()
		p.mustWrite("let go by the guardian")
		h.awaitNoGuardian()
		c.dies()
		again := h.startWorker(point{}, 0)
		op = h.ended(op, nil, platform.OperationCompleted)
		again.kill()
		h.takeBack()
		p.mustWrite("after the old leader was " + c.name)
		if got := p.leads(); got != h.serverOf(follower).Port {
			t.Fatalf("%s: the pool leads to port %d, want the new leader's", c.name, got)
		}
		old := leader
		leader = h.tookOver(op)
		h.destroyed(old)
	}
	p.close("the old leader died twice", false)
}

// The program is killed after the promotion, and the promoted leader, too: the
// guardian starts that again, with every row, and the clients go on with it.
func TestMeasuredGuardianStartsTheDeadLeader(t *testing.T) {
	h := newHouse(t, func(h *house) { h.durable = true })
	leader := h.leader("standard-0")
	p := h.pooled(leader, 4)
	for _, at := range []point{{"after", "do", "unfollow"}, {"before", "do", "resume_pools"}} {
		follower := h.follower(leader, "standard-0")
		h.handOver()
		from, said := time.Now(), len(h.guardianLog(0))
		op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		if err != nil {
			t.Fatal(err)
		}
		h.startWorker(at, syscall.SIGKILL).awaitEnd()
		h.kill9(follower)
		p.mustWrite("both killed " + at.String())
		gap := p.writers.Between(from, time.Now()).LongestGap
		t.Logf("both killed %s: the longest wait of a client was %s", at, gap.Round(time.Millisecond))
		// The wait of a switch and 3 s more, and what a server takes to recover from a crash.
		if gap > 5*time.Second {
			t.Errorf("both killed %s: a client waited for %s\n%s", at, gap, h.guardianLog(said))
		}
		if got := p.leads(); got != h.serverOf(follower).Port {
			t.Fatalf("both killed %s: the pool leads to port %d, want the new leader's\n%s", at, got, h.guardianLog(said))
		}
		h.awaitNoGuardian()
		again := h.startWorker(point{}, 0)
		op = h.ended(op, nil, platform.OperationCompleted)
		again.kill()
		h.takeBack()
		p.mustWrite("after the changeover was completed")
		old := leader
		leader = h.tookOver(op)
		h.destroyed(old)
	}
	p.close("the new leader died twice", true)
}

// A program that is frozen while it acts on a pool would keep its guardian from it
// until it wakes: it is ended.
func TestMeasuredProgramFrozenInAnActIsEnded(t *testing.T) {
	h := newHouse(t)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 2)
	h.locks = filepath.Join(h.engine.Home, "pools", fmt.Sprint(*p.attachment.PoolID), "epoch")
	h.handOver()
	from := time.Now()
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		t.Fatal(err)
	}
	frozen := h.startWorker(point{"before", "do", "fence_writes"}, syscall.SIGSTOP)
	p.mustWrite("before it is frozen")
	waitUntil(t, "it is frozen", func() bool {
		return len(frozen.points()) > 0 && slices.Contains(frozen.points(), point{"before", "do", "fence_writes"}.String())
	})
	p.mustWrite("while the program is frozen in an act")
	gap := p.writers.Between(from, time.Now()).LongestGap
	t.Logf("a client waited for %s", gap.Round(time.Millisecond))
	// The wait of a switch, and 3 s more.
	if gap > 3500*time.Millisecond {
		t.Errorf("a client waited for %s\n%s", gap, h.guardianLog(0))
	}
	frozen.kill()
	h.awaitNoGuardian()
	h.locks = ""
	again := h.startWorker(point{}, 0)
	op = h.ended(op, nil, platform.OperationCompleted)
	again.kill()
	h.takeBack()
	h.tookOver(op)
	p.close("frozen in an act", true)
}

// A run that ends in an undo after the pools were let go leaves no guardian:
// whoever goes on from there holds nobody, so needs none.
func TestNoGuardianOutlivesWhatItGuards(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withDeadline(time.Second), func(h *house) { h.guarded = true })
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 2)
	killed := false
	h.setHook(func(when, what, step string) error {
		switch (point{when, what, step}) {
		case point{"before", "do", "fence_writes"}:
			h.exec(follower, `select pg_wal_replay_pause()`)
		case point{"before", "undo", "prepare_switch"}:
			if !killed {
				killed = true
				return errKilled
			}
		}
		return nil
	})
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	h.ended(op, err, platform.OperationUndone)
	h.setHook(nil)
	if !killed {
		t.Error("the undo was not killed")
	}
	h.exec(follower, `select pg_wal_replay_resume()`)
	h.awaitNoGuardian()
	if log := h.guardianLog(0); log != "" {
		t.Errorf("a guardian was left although nobody was held:\n%s", log)
	}
	p.close("after it was put back", true)
	h.inOrder("after it was put back")
}

// An attempt that begins right before the pools are held holds them guarded, too:
// killed after that, with nobody to start it again, their clients go on.
func TestAttemptThatBeginsBeforeTheHoldIsGuarded(t *testing.T) {
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
	h.startWorker(point{"before", "do", "pause_pools"}, syscall.SIGKILL).awaitEnd()
	h.awaitNoGuardian()
	// As if it had died a moment before: nothing tells yet that pools are to be held.
	h.tell(`update operation_steps set state = 'pending', started_at = null where name = 'pause_pools'`)
	h.startWorker(point{"after", "do", "pause_pools"}, syscall.SIGKILL).awaitEnd()
	p.mustWrite("left alone by the second attempt")
	h.awaitNoGuardian()
	h.takeBack()
	h.tookOver(h.ended(op, nil, platform.OperationCompleted))
	p.close("after the changeover", true)
}
