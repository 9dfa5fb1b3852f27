package jobs_test

import (
	"testing"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

func TestFollowerChangeover(t *testing.T) {
	h := newHouse(t)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-2")
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	op = h.ended(op, err, platform.OperationCompleted)
	t.Logf("\n%s", h.timeline(op))
	facts, err := db.ChangeoverOf(t.Context(), h.pool, op.ID)
	if err != nil {
		t.Fatal(err)
	}
	if facts.OutageMS == nil || facts.OldEndLSN == nil || facts.ForkLSN == nil || *facts.OldEndLSN != *facts.ForkLSN {
		t.Fatalf("%+v", facts)
	}
	t.Logf("outage %.1f ms, %s = %s", *facts.OutageMS, *facts.OldEndLSN, *facts.ForkLSN)
}
