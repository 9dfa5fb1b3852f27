package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// A window, a blackout and the end of one are changed together with the
// maintenances that move because of it: where the second of two moves fails, as
// if the program had ended there, nothing has changed at all.
func TestCalendarChangesWithItsMaintenancesOrNotAtAll(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withoutRunner)
	h.setClock(time.Date(2026, 3, 24, 9, 0, 0, 0, time.UTC))
	ctx := t.Context()
	ops := []platform.Operation{h.planned(21000, jobs.Upgrade{}), h.planned(21001, jobs.Upgrade{})}
	var before []platform.Maintenance
	for _, op := range ops {
		before = append(before, h.maintenanceOf(op))
	}
	last := before[1]
	window, err := db.WindowOf(ctx, h.pool, last.DatabaseID)
	if err != nil {
		t.Fatal(err)
	}
	other := platform.Window{Weekday: (window.Weekday + 3) % 7, Minute: 90}
	b := platform.Blackout{From: h.now(), Until: h.now().AddDate(0, 0, 8), Reason: "spring sale"}
	fail := func(on bool) {
		t.Helper()
		sql := fmt.Sprintf(`create trigger fails before update on maintenances for each row when (old.id = %d) execute function fails()`, last.ID)
		if !on {
			sql = `drop trigger fails on maintenances`
		}
		h.tell(sql)
	}
	h.tell(`create function fails() returns trigger language plpgsql as $$ begin raise exception 'it ends here'; end $$`)
	unchanged := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: nothing failed", what)
		}
		for i, op := range ops {
			if m := h.maintenanceOf(op); !m.ScheduledAt.Equal(*before[i].ScheduledAt) || m.Reason != "" {
				t.Errorf("%s: maintenance %d has moved to %s (%s)", what, i, m.ScheduledAt, m.Reason)
			}
		}
		now, err := db.WindowOf(ctx, h.pool, last.DatabaseID)
		if n := countOf(h, `select count(*) from blackouts`); err != nil || now != window || n != 0 {
			t.Errorf("%s: the window is %s, and there are %d blackouts (%v)", what, now, n, err)
		}
		if n := countOf(h, `select count(*) from notices where kind = 'maintenance_moved'`); n != 0 {
			t.Errorf("%s: %d notices tell of it", what, n)
		}
	}

	fail(true)
	unchanged("a window", h.jobs.SetWindow(ctx, actor, last.DatabaseID, other))
	_, err = h.jobs.AddBlackout(ctx, actor, b)
	unchanged("a blackout", err)
	fail(false)

	if err := h.jobs.SetWindow(ctx, actor, last.DatabaseID, other); err != nil {
		t.Fatal(err)
	}
	if m := h.maintenanceOf(ops[1]); !m.ScheduledAt.Equal(other.Next(h.now())) {
		t.Errorf("with the window %s it is due at %s", other, m.ScheduledAt)
	}
	made, err := h.jobs.AddBlackout(ctx, actor, b)
	if err != nil {
		t.Fatal(err)
	}
	for i, op := range ops {
		if m := h.maintenanceOf(op); b.Covers(*m.ScheduledAt) {
			t.Errorf("maintenance %d is still due at %s, in the blackout", i, m.ScheduledAt)
		}
	}

	// What has no time because of it gets one, or it stays.
	h.tell(`update maintenances set scheduled_at = null, state = 'ready'`)
	fail(true)
	if err := h.jobs.RemoveBlackout(ctx, actor, made.ID); err == nil {
		t.Error("removed: nothing failed")
	}
	if n := countOf(h, `select count(*) from maintenances, blackouts where scheduled_at is null`); n != 2 {
		t.Errorf("%d without a time beside the blackout, want 2", n)
	}
	fail(false)
	if err := h.jobs.RemoveBlackout(ctx, actor, made.ID); err != nil {
		t.Fatal(err)
	}
	if n := countOf(h, `select count(*) from maintenances where state = 'scheduled' and scheduled_at is not null`); n != 2 {
		t.Errorf("%d have a time, want 2", n)
	}
}

// An upgrade that is started in the moment in which its database gets another
// window is due in that one.
func TestWindowIsSetWhileAnUpgradeStarts(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withoutRunner)
	h.setClock(time.Date(2026, 3, 24, 9, 0, 0, 0, time.UTC))
	ctx := t.Context()
	d := dbtest.Database(t, h.pool, h.app.ID, 21000)
	old, err := db.WindowOf(ctx, h.pool, d.ID)
	if err != nil {
		t.Fatal(err)
	}
	window := platform.Window{Weekday: (old.Weekday + 3) % 7, Minute: 90}
	app, err := h.pool.Begin(ctx) // for which whoever starts an upgrade waits
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Rollback(ctx) }()
	if _, err := app.Exec(ctx, `select from apps where id = $1 for no key update`, h.app.ID); err != nil {
		t.Fatal(err)
	}
	waiting := func(n int) {
		t.Helper()
		waitUntil(t, "they wait", func() bool {
			return countOf(h, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == n
		})
	}
	started := make(chan error, 1)
	var op platform.Operation
	go func() {
		var err error
		op, err = h.jobs.StartUpgrade(ctx, actor, jobs.Upgrade{DatabaseID: d.ID, Plan: "standard-2"})
		started <- err
	}()
	waiting(1)
	set := make(chan error, 1)
	go func() { set <- h.jobs.SetWindow(ctx, actor, d.ID, window) }()
	waiting(2)
	if err := app.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if err := <-set; err != nil {
		t.Fatal(err)
	}
	if m := h.maintenanceOf(op); !m.ScheduledAt.Equal(window.Next(h.now())) {
		t.Errorf("the window is %s, and it is due at %s", window, m.ScheduledAt)
	}
}

// tell runs a statement on the control database.
func (h *house) tell(sql string) {
	h.t.Helper()
	if _, err := h.pool.Exec(h.t.Context(), sql); err != nil {
		h.t.Fatalf("%s: %v", sql, err)
	}
}

// Where other maintenances are concerned each time one looks, it is given up
// with a sentence, and nothing is changed.
func TestCalendarGivesUpOnWhatKeepsChanging(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withoutRunner)
	looked := 0
	err := h.jobs.MoveTogether(t.Context(), func() []platform.Maintenance {
		if looked++; looked%2 == 1 {
			return nil
		}
		return []platform.Maintenance{{ID: 1}}
	})
	if platform.KindOf(err) != platform.KindConflict || !strings.Contains(err.Error(), "Try again") || looked != 10 {
		t.Errorf("after %d looks: %v", looked, err)
	}
}
