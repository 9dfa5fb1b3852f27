package jobs_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// A switch that somebody moves while it begins is either put back or was not
// moved: nobody is told of another time while it goes on.
func TestSwitchThatIsMovedWhileItBegins(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	b := h.openBook()
	var early, late atomic.Pointer[error]
	postpone := func(answer *atomic.Pointer[error]) {
		if answer.Load() != nil {
			return
		}
		m, _, err := db.OpenMaintenanceOf(t.Context(), h.pool, leader.ID)
		err = errors.Join(err, h.jobs.PostponeMaintenance(t.Context(), actor, m.ID, 1))
		answer.Store(&err)
	}
	h.setHook(func(when, what, step string) error {
		switch {
		case when == "after" && what == "do" && step == "check_again":
			postpone(&early) // its last look at the time but one has passed
		case when == "before" && what == "do" && step == "fence_writes":
			postpone(&late)
		}
		return nil
	})
	op, err := h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: leader.ID, Plan: "standard-2", When: jobs.UpgradeAtOnce})
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it is put back or switched", func() bool {
		m := h.maintenanceOf(op)
		return m.Postponed > 0 || !m.State.Open()
	})
	m := h.maintenanceOf(op)
	if err := early.Load(); err == nil || *err != nil {
		t.Fatalf("postponed after it was checked again: %v", err)
	}
	if m.State != platform.MaintenanceScheduled || !m.ScheduledAt.After(h.now()) || h.database(leader.ID).Plan != "standard-0" {
		t.Fatalf("it was postponed, and is %s at %s", m.State, m.ScheduledAt)
	}
	b.mustWrite("after it was postponed")

	if err := h.jobs.RunMaintenanceNow(t.Context(), actor, m.ID); err != nil {
		t.Fatal(err)
	}
	op = h.ended(op, nil, platform.OperationCompleted)
	h.setHook(nil)
	if err := late.Load(); err == nil || platform.KindOf(*err) != platform.KindConflict || !strings.Contains((*err).Error(), "being made right now") {
		t.Errorf("postponed when it was prepared: %v", err)
	}
	b.close("at the end")
	h.upgraded(op, "standard-2")
	h.inOrder("at the end")
}

// A follower that somebody has promoted by hand may hold writes that are nowhere
// else: the switch goes on without it, and nothing of it is touched.
func TestFollowerThatTakesWritesIsLeftByAnUpgrade(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	var once atomic.Bool
	h.setHook(func(when, what, step string) error {
		if when == "before" && what == "do" && step == "repoint_followers" && once.CompareAndSwap(false, true) {
			if !query[bool](h, follower, `select pg_promote()`) {
				t.Error("it is not promoted")
			}
		}
		return nil
	})
	op, err := h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: leader.ID, Plan: "standard-2", When: jobs.UpgradeAtOnce})
	op = h.ended(op, err, platform.OperationCompleted)
	h.setHook(nil)
	h.upgraded(op, "standard-2")
	if now := h.database(follower.ID); *now.ServerID != *follower.ServerID || query[bool](h, now, `select pg_is_in_recovery()`) {
		t.Errorf("it is not as it was: %+v", now)
	}
	if notice := h.noticeOf(op, "maintenance_done"); !strings.Contains(notice, "0 of 1 follow") || !strings.Contains(notice, "takes writes of its own") {
		t.Errorf("the notice says %q", notice)
	}
}
