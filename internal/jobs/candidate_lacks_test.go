package jobs_test

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// The candidate is killed once the old leader is stopped, without what that wrote
// last. Nobody is held for the rest of the deadline: the old
// leader is opened at once.
func TestCandidateThatCrashedHoldsNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withDeadline(time.Hour), func(h *house) { h.durable = true })
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 2)
	stopped := make(chan struct{})
	kill := sync.OnceFunc(func() { close(stopped); h.kill9(follower) })
	defer kill()
	h.setHook(func(when, what, step string) error {
		switch (point{when, what, step}) {
		case point{"before", "do", "fence_writes"}:
			h.signalTitled(follower, "walreceiver", syscall.SIGSTOP)
			go h.endSenders(leader, stopped)
		case point{"after", "do", "fence_writes"}:
			kill()
		}
		return nil
	})
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	op = h.ended(op, err, platform.OperationUndone)
	h.setHook(nil)
	if !strings.Contains(op.Reason, "has not received everything") {
		t.Errorf("it was put back because %s", op.Reason)
	}
	p.close("after the candidate crashed", false)
	h.inOrder("after the candidate crashed")
}

// signalTitled sends a signal to those processes of a database's server that call
// themselves so, and returns how many there are.
func (h *house) signalTitled(d platform.Database, title string, signal syscall.Signal) (n int) {
	h.t.Helper()
	pids, err := h.engine.Processes(h.serverOf(d))
	if err != nil {
		h.t.Error(err)
	}
	for _, pid := range pids {
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline") // gone meanwhile: not one of them
		if strings.Contains(string(text), title) && syscall.Kill(pid, signal) == nil {
			n++
		}
	}
	return n
}

// endSenders keeps the stop of a leader from waiting a minute for a follower that
// takes nothing.
func (h *house) endSenders(leader platform.Database, stopped <-chan struct{}) {
	for {
		h.signalTitled(leader, "walsender", syscall.SIGTERM)
		select {
		case <-stopped:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// After the point of no return a guardian has opened the old leader, which takes
// writes that the candidate does not get. The old leader is stopped anew, its new
// end is noted, and then the program dies and the candidate with it. What was
// noted proves nothing: the next attempt promotes the candidate only once it has
// everything.
func TestNotedEndIsNoProof(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(h *house) { h.durable = true })
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 2)
	h.handOver()
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		t.Fatal(err)
	}
	h.startWorker(point{"before", "do", "unfollow"}, syscall.SIGKILL).awaitEnd()
	p.mustWrite("let go by the guardian")
	h.awaitNoGuardian()
	waitUntil(t, "the candidate streams from it", func() bool {
		return query[bool](h, follower, `select exists (select from pg_stat_wal_receiver where status = 'streaming')`)
	})
	// The candidate answers, but writes nothing down from here on.
	if h.signalTitled(follower, "walreceiver", syscall.SIGSTOP) != 1 {
		t.Fatal("the follower receives nothing")
	}
	p.mustWrite("what the candidate does not get")
	noted := func() (lsn string) {
		if err := h.pool.QueryRow(t.Context(), `select shutdown_lsn::text from changeovers where operation_id = $1`, op.ID).Scan(&lsn); err != nil {
			t.Fatal(err)
		}
		return lsn
	}
	before := noted()
	second := h.startWorker(point{}, 0)
	stopped := make(chan struct{})
	stop := sync.OnceFunc(func() { close(stopped) })
	defer stop()
	go h.endSenders(leader, stopped)
	waitUntil(t, "the new end of the old leader is noted", func() bool { return noted() != before })
	stop()
	second.kill()
	h.kill9(follower)
	h.takeBack()
	h.tookOver(h.ended(op, nil, platform.OperationCompleted))
	p.close("after the second attempt died", false)
}

// A candidate that hangs does not keep the app in maintenance mode: past its
// deadline the preparation of the switch is put back, too.
func TestPreparationHasADeadline(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withDeadline(time.Second))
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	h.setHook(func(when, what, step string) error {
		if (point{when, what, step}) == (point{"before", "do", "prepare_switch"}) && h.signalTitled(follower, "checkpointer", syscall.SIGSTOP) != 1 {
			t.Error("the follower has no checkpointer")
		}
		return nil
	})
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	op = h.ended(op, err, platform.OperationUndone)
	h.setHook(nil)
	h.signalTitled(follower, "checkpointer", syscall.SIGCONT)
	if !strings.HasPrefix(op.Reason, "The deadline of 10s passed") {
		t.Errorf("it was put back because %s", op.Reason)
	}
	h.inOrder("after the candidate hung")
}
