package jobs_test

import (
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// planned is an upgrade whose replacement is ready, as far as the tables know;
// nothing really runs.
func (h *house) planned(port int, u jobs.Upgrade) platform.Operation {
	h.t.Helper()
	d := dbtest.Database(h.t, h.pool, h.app.ID, port)
	u.DatabaseID, u.Plan = d.ID, "standard-2"
	op, err := h.jobs.StartUpgrade(h.t.Context(), actor, u)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, sql := range []string{
		`update servers set state = 'stopped'`,
		`update operation_steps set state = 'done' where name in ('check', 'reserve_server', 'copy_leader', 'start_replacement', 'wait_until_caught_up')`,
	} {
		if _, err := h.pool.Exec(h.t.Context(), sql); err != nil {
			h.t.Fatal(err)
		}
	}
	return op
}

func (h *house) maintenanceOf(op platform.Operation) platform.Maintenance {
	h.t.Helper()
	m, err := db.MaintenanceOf(h.t.Context(), h.pool, op.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

// What moves a maintenance: people by a time or by weeks, a window that is moved
// and a blackout, unless a person chose the time. What was cancelled moves no more.
func TestMaintenanceIsMoved(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withoutRunner)
	h.setClock(time.Date(2026, 3, 24, 9, 0, 0, 0, time.UTC)) // the clocks change on Sunday, which UTC does not see
	ctx := t.Context()
	op := h.planned(21000, jobs.Upgrade{})
	m := h.maintenanceOf(op)
	window, err := db.WindowOf(ctx, h.pool, m.DatabaseID)
	if err != nil || !m.ScheduledAt.Equal(window.Next(h.now())) {
		t.Fatalf("at %s, the window is %s (%v)", m.ScheduledAt, window, err)
	}
	is := func(what string, err error, at time.Time) {
		t.Helper()
		if now := h.maintenanceOf(op); err != nil || now.ScheduledAt == nil || !now.ScheduledAt.Equal(at) {
			t.Errorf("%s: at %v, want %s (%v)", what, now.ScheduledAt, at, err)
		}
	}
	sunday := platform.Window{Weekday: time.Sunday, Minute: 150}
	first := time.Date(2026, 3, 29, 2, 30, 0, 0, time.UTC)
	is("another window", h.jobs.SetWindow(ctx, actor, m.DatabaseID, sunday), first)
	is("postponed by two weeks", h.jobs.PostponeMaintenance(ctx, actor, m.ID, 2), first.AddDate(0, 0, 14))
	for _, weeks := range []int{0, -1, 9} {
		if err := h.jobs.PostponeMaintenance(ctx, actor, m.ID, weeks); platform.KindOf(err) != platform.KindInvalid {
			t.Errorf("postponed by %d weeks: %v", weeks, err)
		}
	}
	chosen := time.Date(2026, 3, 26, 13, 0, 0, 0, time.UTC)
	is("moved", h.jobs.MoveMaintenance(ctx, actor, m.ID, chosen), chosen)
	is("a window that is moved leaves a chosen time", h.jobs.SetWindow(ctx, actor, m.DatabaseID, platform.Window{Weekday: time.Monday}), chosen)
	is("and back", h.jobs.SetWindow(ctx, actor, m.DatabaseID, sunday), chosen)
	if err := h.jobs.MoveMaintenance(ctx, actor, m.ID, h.now().Add(-time.Minute)); platform.KindOf(err) != platform.KindInvalid {
		t.Errorf("moved to what has passed: %v", err)
	}

	b, err := h.jobs.AddBlackout(ctx, actor, platform.Blackout{AppID: &h.app.ID, From: chosen.Add(time.Hour), Until: chosen.AddDate(0, 0, 1), Reason: "spring sale"})
	is("a blackout moves a chosen time, too", err, first)
	if notice := h.noticeNewest(op, "maintenance_moved"); !strings.Contains(notice, "spring sale") {
		t.Errorf("the notice says %q", notice)
	}
	if err := h.jobs.MoveMaintenance(ctx, actor, m.ID, chosen); platform.KindOf(err) != platform.KindInvalid || !strings.Contains(err.Error(), "spring sale") {
		t.Errorf("moved into a blackout: %v", err)
	}
	is("what a blackout has moved stays when it is removed", h.jobs.RemoveBlackout(ctx, actor, b.ID), first)
	other := dbtest.App(t, h.pool, "ramen")
	_, err = h.jobs.AddBlackout(ctx, actor, platform.Blackout{AppID: &other.ID, From: first.AddDate(0, 0, -1), Until: first.AddDate(0, 0, 1), Reason: "stocktaking"})
	is("another app's blackout", err, first)

	if err := h.jobs.CancelMaintenance(ctx, "jun", m.ID); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"moved": h.jobs.MoveMaintenance(ctx, actor, m.ID, chosen), "postponed": h.jobs.PostponeMaintenance(ctx, actor, m.ID, 1), "run": h.jobs.RunMaintenanceNow(ctx, actor, m.ID),
	} {
		if platform.KindOf(err) != platform.KindConflict || !strings.Contains(err.Error(), "jun has cancelled") {
			t.Errorf("%s after it was cancelled: %v", what, err)
		}
	}
	is("a window can be set then, and moves nothing", h.jobs.SetWindow(ctx, actor, m.DatabaseID, platform.Window{Weekday: time.Monday}), first)
}

// noticeNewest is the body of an operation's newest notice of that kind.
func (h *house) noticeNewest(op platform.Operation, kind string) (body string) {
	h.t.Helper()
	if err := h.pool.QueryRow(h.t.Context(), `select body from notices where operation_id = $1 and kind = $2 order by id desc limit 1`, op.ID, kind).Scan(&body); err != nil {
		h.t.Fatalf("the notice %s: %v", kind, err)
	}
	return body
}

// A blackout that was added in the moment in which a maintenance was scheduled
// has not moved it: it makes way when its time comes.
func TestMaintenanceMakesWayForABlackoutThatDidNotSeeIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withoutRunner)
	h.setClock(time.Date(2026, 3, 24, 9, 0, 0, 0, time.UTC))
	op := h.planned(21000, jobs.Upgrade{})
	first := *h.maintenanceOf(op).ScheduledAt
	if _, err := db.CreateBlackout(t.Context(), h.pool, platform.Blackout{From: first.Add(-time.Hour), Until: first.Add(time.Hour), Reason: "spring sale", CreatedBy: actor}); err != nil {
		t.Fatal(err)
	}
	h.setClock(first.Add(time.Minute))
	defer h.program()()
	waitUntil(t, "it has moved or runs", func() bool {
		m := h.maintenanceOf(op)
		return m.State == platform.MaintenanceRunning || !m.ScheduledAt.Equal(first)
	})
	if m := h.maintenanceOf(op); m.State != platform.MaintenanceScheduled || !m.ScheduledAt.Equal(first.AddDate(0, 0, 7)) {
		t.Errorf("it is %s at %s, want a week after %s", m.State, m.ScheduledAt, first)
	}
	if notice := h.noticeOf(op, "maintenance_moved"); !strings.Contains(notice, "spring sale") {
		t.Errorf("the notice says %q", notice)
	}
}

// Where only the required date is left there is no opening to wait for. Each try
// may refuse writes, so that an hour lies between two of them.
func TestRequiredDateLeavesAnHourBetweenTries(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withoutRunner)
	h.setClock(time.Date(2026, 3, 24, 9, 0, 0, 0, time.UTC))
	by := h.now().Add(time.Hour)
	op := h.planned(21000, jobs.Upgrade{RequiredBy: &by})
	if at := h.maintenanceOf(op).ScheduledAt; !at.Equal(h.now()) {
		t.Fatalf("it is due at %s", at)
	}
	j, err := newJobs(h.pool, h.engine.Engine, h.sealer, 0, nil, func(c *jobs.Config) { c.Now = h.now })
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Stop(t.Context()) }()
	waitUntil(t, "it was put back", func() bool { return h.maintenanceOf(op).Postponed > 0 }) // there is no server to ask
	if m := h.maintenanceOf(op); m.State != platform.MaintenanceScheduled || m.ScheduledAt.Before(h.now().Add(time.Hour)) {
		t.Errorf("put back at %s, it is %s at %s", h.now(), m.State, m.ScheduledAt)
	}
}

// The commit that lets a maintenance wait again may come through although its
// answer is lost; it is written a second time then, and counts once.
func TestPuttingBackCountsOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withoutRunner)
	h.setClock(time.Date(2026, 3, 24, 9, 0, 0, 0, time.UTC))
	op := h.planned(21000, jobs.Upgrade{})
	m := h.maintenanceOf(op)
	h.setClock(*m.ScheduledAt)
	if err := db.SetMaintenanceRunning(t.Context(), h.pool, m.ID, h.now()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.jobs.BeginAgain(t.Context(), op, m, "The deadline passed."); err != nil {
			t.Fatal(err)
		}
	}
	if m := h.maintenanceOf(op); m.State != platform.MaintenanceScheduled || m.Postponed != 1 {
		t.Errorf("it is %s and was put back %d times", m.State, m.Postponed)
	}
	if n := countOf(h, `select count(*) from notices where operation_id = $1 and kind = 'maintenance_moved'`, op.ID); n != 1 {
		t.Errorf("%d notices say so", n)
	}
}
