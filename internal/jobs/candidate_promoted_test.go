package jobs_test

import (
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform/platformtest"
)

// Somebody promotes the candidate by hand in the middle of the switch. What is
// not understood is not guessed at: the old leader is not opened beside it, and
// the operation says that it needs a person.
func TestCandidateIsPromotedByHand(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withDeadline(time.Second))
	h.scale()
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	by := newKiller([]point{{"before", "do", "fence_writes"}})
	h.setHook(func(when, what, step string) error {
		if by.hook(when, what, step) != nil {
			h.exec(follower, `select pg_promote()`)
		}
		return nil
	})
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		t.Fatal(err)
	}
	platformtest.Await(t, "the call for a person", func() (bool, error) {
		now, err := db.OperationByID(t.Context(), h.pool, op.ID)
		if err == nil && !now.State.Open() {
			t.Fatalf("it ended %s: %s", now.State, now.Reason)
		}
		op = now
		return now.NeedsPerson, err
	})
	if !strings.Contains(op.Reason, follower.Name+" has left recovery") || !strings.Contains(op.Reason, "a person must look") {
		t.Errorf("the reason is %q", op.Reason)
	}
	if err := h.write(leader); err == nil {
		t.Error("the old leader takes writes beside a promoted candidate")
	}
}
