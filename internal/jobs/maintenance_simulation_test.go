package jobs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// 200 databases of 40 apps are due in windows all over the week, and two programs
// on one control database sleep for hours at a time: none is missed, none is
// early, none runs twice, and never two of one app at a time. The scheduler is
// the real one; only what comes after "Wait for the window" is left out.
func TestManyMaintenancesAllRunInTheirWindows(t *testing.T) {
	t.Parallel()
	const apps, each = 40, 5
	seed := newSeed(t)
	chance := rand.New(rand.NewPCG(uint64(seed), 1))
	h := newHouse(t, withoutRunner)
	h.setClock(time.Date(2026, 12, 24, 9, 0, 0, 0, time.UTC)) // the year ends meanwhile
	ctx := t.Context()
	for i := range apps {
		app := dbtest.App(t, h.pool, fmt.Sprintf("app-%d", i))
		for k := range each {
			d := dbtest.Database(t, h.pool, app.ID, 21000+i*each+k)
			if _, err := h.jobs.StartUpgrade(ctx, actor, jobs.Upgrade{DatabaseID: d.ID, Plan: "standard-2"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The replacements are ready; nothing really runs.
	for _, sql := range []string{
		`update servers set state = 'stopped'`,
		`update operation_steps set state = 'done' where name in ('check', 'reserve_server', 'copy_leader', 'start_replacement', 'wait_until_caught_up')`,
	} {
		if _, err := h.pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	stopHere := func(when, what, step string) error {
		if step == "check_again" {
			return errKilled
		}
		return nil
	}
	var programs []*jobs.Jobs
	for range 2 {
		j, err := newJobs(h.pool, h.engine.Engine, h.sealer, 0, stopHere, func(c *jobs.Config) { c.Now = h.now })
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := j.Stop(ctx); err != nil {
				t.Error(err)
			}
		})
		programs = append(programs, j)
	}
	waitUntil(t, "every maintenance is scheduled", func() bool {
		return countOf(h, `select count(*) from maintenances where state = 'scheduled'`) == apps*each
	})

	for left := apps * each; left > 0; {
		coming, err := db.ComingMaintenances(ctx, h.pool, db.MaintenanceFilter{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		// A moment before the next one is due, then some hours of sleep.
		h.setClock(coming[0].ScheduledAt.Add(-time.Millisecond))
		for _, j := range programs {
			if err := j.Reconcile(ctx); err != nil {
				t.Fatal(err)
			}
		}
		waitUntil(t, "everybody was told the day before", func() bool {
			return countOf(h, `select count(*) from maintenances where state = 'scheduled' and scheduled_at - interval '24 hours' <= $1
				and told_tomorrow_for is distinct from scheduled_at`, h.now()) == 0
		})
		h.setClock(coming[0].ScheduledAt.Add(time.Duration(chance.Int64N(int64(platform.WindowLength)))))
		for _, j := range programs {
			if err := j.Reconcile(ctx); err != nil {
				t.Fatal(err)
			}
		}
		waitUntil(t, "what is due runs", func() bool {
			return countOf(h, `select count(*) from maintenances where state = 'scheduled' and scheduled_at <= $1`, h.now()) == 0
		})
		ended, err := h.pool.Exec(ctx, `with over as (update maintenances set state = 'completed', ended_at = $1 where state = 'running' returning operation_id)
			update operations set state = 'completed', ended_at = now() where id in (select operation_id from over)`, h.now())
		if err != nil {
			t.Fatal(err)
		}
		left -= int(ended.RowsAffected())
	}

	past, err := db.PastMaintenances(ctx, h.pool, db.MaintenanceFilter{Limit: 1000})
	if err != nil || len(past) != apps*each {
		t.Fatalf("%d ran (%v)", len(past), err)
	}
	for _, m := range past {
		late := m.StartedAt.Sub(*m.ScheduledAt)
		window, err := db.WindowOf(ctx, h.pool, m.DatabaseID)
		if err != nil {
			t.Fatal(err)
		}
		if _, open := window.OpenAt(*m.StartedAt); late < 0 || late >= platform.WindowLength || !open || m.Reason != "" {
			t.Errorf("%s was due at %s and ran at %s (%s)", m.DatabaseName, m.ScheduledAt, m.StartedAt, m.Reason)
		}
		for _, other := range past {
			if other.ID != m.ID && other.AppID == m.AppID && other.ScheduledAt.Sub(*m.ScheduledAt).Abs() < platform.WindowLength {
				t.Errorf("two of %s at %s and %s", m.AppName, m.ScheduledAt, other.ScheduledAt)
			}
		}
	}
	for kind, want := range map[string]int{"maintenance_preparing": 1, "maintenance_scheduled": 1, "maintenance_starting": 1, "maintenance_moved": 0} {
		if n := countOf(h, `select count(*) from maintenances m where (select count(*) from notices n where n.operation_id = m.operation_id and n.kind = $1) <> $2`, kind, want); n > 0 {
			t.Errorf("%d have not %d notices %s", n, want, kind)
		}
	}
	if n := countOf(h, `select count(*) from maintenances m where told_tomorrow_for is distinct from scheduled_at`); n > 0 {
		t.Errorf("%d were not told of the day before", n)
	}
}

func countOf(h *house, sql string, args ...any) (n int) {
	h.t.Helper()
	if err := h.pool.QueryRow(h.t.Context(), sql, args...).Scan(&n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

// waitUntil looks until it is so, at most a minute.
func waitUntil(t testing.TB, what string, isSo func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !isSo(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come in a minute: %s", what)
		}
	}
}
