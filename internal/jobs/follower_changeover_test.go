package jobs_test

import (
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

func TestFollowerChangeover(t *testing.T) {
	h := newHouse(t)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-2")
	chosen := platform.Window{Weekday: time.Thursday, Minute: 8*60 + 30}
	if err := h.jobs.SetWindow(t.Context(), actor, leader.ID, chosen); err != nil {
		t.Fatal(err)
	}
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
	windows, err := db.Windows(t.Context(), h.pool, []int64{leader.ID, follower.ID})
	if err != nil || windows[follower.ID] != chosen || windows[leader.ID] != platform.DefaultWindow(follower.ID) {
		t.Errorf("the new leader's window is %s, the old one's %s (%v)", windows[follower.ID], windows[leader.ID], err)
	}
	t.Logf("outage %.1f ms, %s = %s", *facts.OutageMS, *facts.OldEndLSN, *facts.ForkLSN)
}
