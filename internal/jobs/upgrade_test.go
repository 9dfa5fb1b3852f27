package jobs_test

import (
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// An upgrade from the first step to the last, with a writer that keeps a ledger:
// the add-on keeps its name, and its followers follow the new server.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	b := h.openBook()
	before := h.urlOf(leader.ID)
	op, err := h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: leader.ID, Plan: "standard-2", When: jobs.UpgradeAtOnce})
	op = h.ended(op, err, platform.OperationCompleted)
	t.Logf("\n%s", h.timeline(op))
	b.close("after the upgrade")
	h.upgraded(op, "standard-2")
	h.inOrder("after the upgrade")
	if now := h.urlOf(leader.ID); now == before {
		t.Error("the config vars still point to the old server")
	}
	h.followsNow(follower)
	op, err = h.jobs.StartSwitchBack(t.Context(), actor, leader.ID)
	op = h.ended(op, err, platform.OperationCompleted)
	t.Logf("\n%s", h.timeline(op))
	h.upgraded(op, "standard-0")
	h.inOrder("after the switch back")
	if now := h.urlOf(leader.ID); now != before {
		t.Error("the config vars do not point to the old server again")
	}
	h.followsNow(follower)
	op, err = h.jobs.StartDestroyOldServer(t.Context(), actor, leader.ID)
	h.ended(op, err, platform.OperationCompleted)
	h.inOrder("after the old server was destroyed")
}

// upgraded checks the end state of a completed upgrade or switch back.
func (h *house) upgraded(op platform.Operation, plan string) {
	h.t.Helper()
	d := h.database(op.DatabaseID)
	if d.Plan != plan || d.State != platform.DatabaseAvailable || h.serverOf(d).Plan.Name != plan || h.serverOf(d).Fenced {
		h.t.Fatalf("it is not on %s: %+v", plan, d)
	}
	facts, err := db.ChangeoverOf(h.t.Context(), h.pool, op.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	if facts.OldEndLSN == nil || facts.ForkLSN == nil || *facts.OldEndLSN != *facts.ForkLSN || facts.OutageMS == nil {
		h.t.Fatalf("nothing proves that nothing is missing: %+v", facts)
	}
	m, err := db.MaintenanceOf(h.t.Context(), h.pool, op.ID)
	if err != nil || m.State != platform.MaintenanceCompleted || m.OutageMS == nil || m.KeptUntil == nil || m.ToPlan != plan {
		h.t.Fatalf("the maintenance: %+v (%v)", m, err)
	}
	var billed string
	if err := h.pool.QueryRow(h.t.Context(), `select plan from billing_periods where database_id = $1 and ended_at is null`, d.ID).Scan(&billed); err != nil || billed != plan {
		h.t.Fatalf("billed for %s (%v)", billed, err)
	}
	h.t.Logf("outage %.1f ms", *facts.OutageMS)
}

// followsNow fails unless what is written to the leader now arrives at the follower.
func (h *house) followsNow(follower platform.Database) {
	h.t.Helper()
	follower = h.database(follower.ID)
	leader := h.database(*follower.FollowingID)
	end := query[string](h, leader, `select pg_logical_emit_message(true, 'test', 'marker')::text`)
	for deadline := time.Now().Add(20 * time.Second); !query[bool](h, follower, `select pg_last_wal_replay_lsn() >= $1::text::pg_lsn`, end); {
		if time.Now().After(deadline) {
			h.t.Fatalf("%s does not follow %s", follower.Name, leader.Name)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
