package jobs_test

import (
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// A maintenance that must have begun by a date does, although blackouts cover
// every opening until then: prepared, waited for, switched, before the date.
func TestUpgradeBeginsByItsRequiredDate(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.scale()
	h.setClock(time.Date(2026, 10, 20, 9, 0, 0, 0, time.UTC)) // the week in which the clocks change
	leader := h.leader("standard-0")
	if _, err := db.CreateBlackout(t.Context(), h.pool, platform.Blackout{From: h.now(), Until: h.now().AddDate(0, 2, 0), Reason: "autumn sale", CreatedBy: actor}); err != nil {
		t.Fatal(err)
	}
	b := h.openBook()
	by := h.now().AddDate(0, 0, 9)
	op, err := h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: leader.ID, Plan: "standard-2", When: jobs.UpgradeInWindow, RequiredBy: &by})
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it waits for its time", func() bool { return h.maintenanceOf(op).State == platform.MaintenanceScheduled })
	at := h.maintenanceOf(op).ScheduledAt
	if at == nil || at.Before(h.now()) || !at.Before(by) {
		t.Fatalf("it is due at %v, required by %s", at, by)
	}
	if h.database(leader.ID).Plan != "standard-0" {
		t.Error("it did not wait")
	}
	h.setClock(at.Add(time.Second))
	op = h.ended(op, nil, platform.OperationCompleted)
	b.close("at the end")
	h.upgraded(op, "standard-2")
	if m := h.maintenanceOf(op); m.StartedAt == nil || m.StartedAt.After(by) || m.Postponed != 0 {
		t.Errorf("it began at %v, required by %s", m.StartedAt, by)
	}
	h.inOrder("at the end")
}
