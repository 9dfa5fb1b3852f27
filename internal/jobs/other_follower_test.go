package jobs_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// Another follower of the old leader is frozen during the whole switch. It costs
// the switch nothing, and it never goes past the fork: when it wakes it follows
// the old leader, which is fenced and cannot be destroyed while it does.
func TestOtherFollowerIsFrozenInTheSwitch(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	candidate, other := h.follower(leader, "standard-0"), h.follower(leader, "standard-0")
	b := h.openBook()
	b.watchBoth(leader, candidate)
	frozen := h.pids([]platform.Database{other})
	signal := func(s syscall.Signal) {
		for _, pid := range frozen {
			_ = syscall.Kill(pid, s) // one that ended meanwhile is fine
		}
	}
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &candidate.ID, ConfirmedJobs: true})
	op = h.ended(op, err, platform.OperationCompleted)
	signal(syscall.SIGCONT)
	b.close("after the changeover")
	h.tookOver(op) // the other follower streams from the old leader again
	facts, err := db.ChangeoverOf(t.Context(), h.pool, op.ID)
	if err != nil {
		t.Fatal(err)
	}
	if *facts.OutageMS > 5000 {
		t.Errorf("the frozen follower cost the switch: %.0f ms", *facts.OutageMS)
	}
	end := query[string](h, other, `select greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text`)
	if at, err := platform.ParseLSN(end); err != nil || at > *facts.OldEndLSN {
		t.Errorf("the other follower is at %s, past the fork at %s (%v)", end, facts.OldEndLSN, err)
	}
	if _, err := h.jobs.StartDestroy(t.Context(), actor, leader.ID, h.app.Name); platform.KindOf(err) != platform.KindConflict || !strings.Contains(err.Error(), other.Name) {
		t.Errorf("destroy the old leader while %s follows it: %v", other.Name, err)
	}
	h.destroyed(other)
	h.destroyed(leader)
	h.inOrder("after both were destroyed")
	t.Logf("outage %s with a frozen follower", time.Duration(*facts.OutageMS*float64(time.Millisecond)).Round(time.Millisecond))
}
