package jobs_test

import (
	"testing"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// cancelledAndKilled is cancelled with a runner that dies at the points of its undo.
func (h *house) cancelledAndKilled(p point, points []point, start func() (platform.Operation, error)) platform.Operation {
	h.t.Helper()
	k := newKiller(points)
	cancel, id, answer := h.cancelAt(p)
	h.setHook(func(when, what, step string) error {
		_ = cancel(when, what, step) // its answer comes by the channel
		return k.hook(when, what, step)
	})
	op, err := start()
	if err != nil {
		h.t.Fatal(err)
	}
	id <- op.ID
	op = h.ended(op, nil, platform.OperationUndone)
	h.setHook(nil)
	if err := <-answer; err != nil || op.Reason != "Cancelled by "+actor+"." {
		h.t.Fatalf("%s: %v, reason %q", p, err, op.Reason)
	}
	k.check(h.t)
	h.inOrder("after a cancel " + p.String())
	h.t.Logf("%s cancelled %s, killed %v: longest pause %s", op.Kind, p, points, k.longest)
	return op
}

// An upgrade that is cancelled while its switch has begun is put back wherever
// that is killed. A switch back is cancelled at whatever step before its point of
// no return: the database stays on the new server, and can still be switched back.
func TestSwitchBackIsCancelledAndUpgradesUndoIsKilled(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	b := h.openBook()
	late := point{"after", "do", "fence_writes"}
	upgrade := func() (platform.Operation, error) {
		return h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: leader.ID, Plan: "standard-2", When: jobs.UpgradeAtOnce})
	}
	inSwitch := undoPoints("fence_writes", "pause_pools", "prepare_switch", "check_again")
	points := append(undoPoints("reserve_server"), inSwitch...)
	lists := [][]point{some(points, len(points)/2, seed)}
	if everything() {
		lists = rounds(points, seed)
	}
	for _, points := range lists {
		h.cancelledAndKilled(late, points, upgrade)
		b.mustWrite("after an upgrade was cancelled")
		if d := h.database(leader.ID); d.Plan != "standard-0" {
			t.Fatalf("it has changed: %+v", d)
		}
	}
	op, err := upgrade()
	h.upgraded(h.ended(op, err, platform.OperationCompleted), "standard-2")

	back := func() (platform.Operation, error) { return h.jobs.StartSwitchBack(t.Context(), actor, leader.ID) }
	stays := func(op platform.Operation, p point) {
		t.Helper()
		b.mustWrite("after a cancel " + p.String())
		m, err := db.MaintenanceOf(t.Context(), h.pool, op.ID)
		if err != nil || m.State != platform.MaintenanceCancelled || h.database(leader.ID).Plan != "standard-2" {
			t.Errorf("%s: the maintenance is %s, the database on %s (%v)", p, m.State, h.database(leader.ID).Plan, err)
		}
		if _, err := h.jobs.OfferSwitchBack(t.Context(), leader.ID); err != nil {
			t.Errorf("%s: it cannot be switched back any more: %v", p, err)
		}
	}
	all := before(platform.SwitchBack)
	for _, p := range some(all[:len(all)-1], 2, seed) {
		stays(h.cancelled(p, back), p)
	}
	lists = [][]point{some(inSwitch, 2, seed)}
	if everything() {
		lists = rounds(inSwitch, seed)
	}
	for _, points := range lists {
		stays(h.cancelledAndKilled(late, points, back), late)
	}
	op, err = back()
	h.upgraded(h.ended(op, err, platform.OperationCompleted), "standard-0")
	b.close("at the end")
	h.followsNow(follower)
}
