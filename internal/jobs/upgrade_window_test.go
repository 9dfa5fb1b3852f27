package jobs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// A window that opened while the program was down is used as long as it is open;
// one that has passed is followed by the next, and a notice says so.
func TestWindowIsMissedWhileTheProgramIsDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withoutRunner)
	h.setClock(time.Date(2026, 3, 24, 9, 0, 0, 0, time.UTC))
	d := dbtest.Database(t, h.pool, h.app.ID, 21000)
	op, err := h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: d.ID, Plan: "standard-2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{ // the replacement is ready; nothing really runs
		`update servers set state = 'stopped'`,
		`update operation_steps set state = 'done' where name in ('check', 'reserve_server', 'copy_leader', 'start_replacement', 'wait_until_caught_up')`,
	} {
		if _, err := h.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	is := func() platform.Maintenance {
		m, err := db.MaintenanceOf(t.Context(), h.pool, op.ID)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	stop := h.program()
	waitUntil(t, "it is scheduled", func() bool { return is().State == platform.MaintenanceScheduled })
	first := *is().ScheduledAt
	// A program that is killed before this would schedule it anew, not move it.
	waitUntil(t, "it waits for its window", func() (waits bool) {
		if err := h.pool.QueryRow(t.Context(), `select state = 'done' from operation_steps where operation_id = $1 and name = 'schedule'`, op.ID).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		return waits
	})
	stop()

	h.setClock(first.Add(platform.WindowLength))
	stop = h.program()
	waitUntil(t, "it has moved", func() bool { return !is().ScheduledAt.Equal(first) })
	m := is()
	if second := first.AddDate(0, 0, 7); m.State != platform.MaintenanceScheduled || !m.ScheduledAt.Equal(second) {
		t.Errorf("missed at %s, it is %s at %s, want %s", first, m.State, m.ScheduledAt, second)
	}
	if notice := h.noticeOf(op, "maintenance_moved"); !strings.Contains(notice, "Changeover did not run before its four hours had passed") {
		t.Errorf("the notice says %q", notice)
	}
	stop()

	late := m.ScheduledAt.Add(platform.WindowLength - time.Second)
	h.setClock(late)
	stop = h.program()
	defer stop()
	waitUntil(t, "it runs", func() bool { return is().State == platform.MaintenanceRunning })
	if m := is(); !m.StartedAt.Equal(late) {
		t.Errorf("it began at %s, want %s", m.StartedAt, late)
	}
	if n := countOf(h, `select count(*) from notices where operation_id = $1 and kind = 'maintenance_moved'`, op.ID); n != 1 {
		t.Errorf("%d notices say that it was moved", n)
	}
}

// program is one more program on the house's control database, which goes no
// further than to the window; the function stops it.
func (h *house) program() (stop func()) {
	h.t.Helper()
	j, err := newJobs(h.pool, h.engine.Engine, h.sealer, 0, func(_, _, step string) error {
		if step == "check_again" {
			return errKilled
		}
		return nil
	}, func(c *jobs.Config) { c.Now = h.now })
	if err != nil {
		h.t.Fatal(err)
	}
	if err := j.Start(context.Background()); err != nil {
		h.t.Fatal(err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := j.Stop(ctx); err != nil {
			h.t.Error(err)
		}
	}
}

// noticeOf is the body of an operation's only notice of that kind.
func (h *house) noticeOf(op platform.Operation, kind string) (body string) {
	h.t.Helper()
	if err := h.pool.QueryRow(h.t.Context(), `select body from notices where operation_id = $1 and kind = $2`, op.ID, kind).Scan(&body); err != nil {
		h.t.Fatalf("the notice %s: %v", kind, err)
	}
	return body
}

// A switch that does not end inside its deadline is put back and moved to the
// next window, and goes through there; a day later the old server is destroyed.
func TestSwitchThatIsLateIsMovedToTheNextWindow(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withDeadline(time.Millisecond)) // nobody stops a server in that
	h.scale()
	leader := h.leader("standard-0")
	b := h.openBook()
	op, err := h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: leader.ID, Plan: "standard-2", When: jobs.UpgradeAtOnce})
	if err != nil {
		t.Fatal(err)
	}
	var m platform.Maintenance
	waitUntil(t, "it was put back", func() bool {
		if m, err = db.MaintenanceOf(t.Context(), h.pool, op.ID); err != nil {
			t.Fatal(err)
		}
		return m.Postponed == 1
	})
	b.mustWrite("after it was put back")
	if m.State != platform.MaintenanceScheduled || m.ScheduledAt == nil || !m.ScheduledAt.After(time.Now()) {
		t.Fatalf("it is %s at %v", m.State, m.ScheduledAt)
	}
	if notice := h.noticeOf(op, "maintenance_moved"); !strings.Contains(notice, "Why. ") || !strings.Contains(notice, "Writes were refused for") {
		t.Errorf("the notice says %q", notice)
	}
	if d := h.database(leader.ID); d.Plan != "standard-0" || h.serverOf(d).Fenced {
		t.Errorf("it has changed: %+v", d)
	}

	h.close()
	h.deadline = 0
	h.setClock(m.ScheduledAt.Add(time.Minute))
	h.open()
	op = h.ended(op, nil, platform.OperationCompleted)
	b.close("after the next window")
	h.upgraded(op, "standard-2")
	h.inOrder("after the next window")

	h.setClock(h.now().Add(24*time.Hour + time.Minute))
	waitUntil(t, "the old server is destroyed", func() bool {
		return countOf(h, `select count(*) from operations where database_id = $1 and kind = $2 and state = 'completed'`, leader.ID, platform.DestroyOldServer) == 1
	})
	if _, err := h.jobs.OfferSwitchBack(t.Context(), leader.ID); platform.KindOf(err) != platform.KindNotFound {
		t.Errorf("switching back is offered still: %v", err)
	}
	h.inOrder("after the old server was destroyed")
}

// A follower that does not start any more when it is re-pointed is made anew by
// itself: name and data stay, and a notice says so.
func TestBrokenFollowerIsMadeAnewByAnUpgrade(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	b := h.openBook()
	files, err := filepath.Glob(filepath.Join(h.engine.Home, "b", "servers", fmt.Sprint(*follower.ServerID), "data", "postgresql.auto.conf"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v %v", files, err)
	}
	h.setHook(func(when, _, step string) error {
		if when == "before" && step == "repoint_followers" {
			if err := os.WriteFile(files[0], []byte("no_such_setting = 1\n"), 0o600); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	op, err := h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: leader.ID, Plan: "standard-2", When: jobs.UpgradeAtOnce})
	op = h.ended(op, err, platform.OperationCompleted)
	h.setHook(nil)
	moves, err := db.FollowerMoves(t.Context(), h.pool, op.ID)
	if err != nil || len(moves) != 1 || moves[0].State != db.FollowerRecreating || moves[0].RecreationID == nil {
		t.Fatalf("the follower: %+v (%v)", moves, err)
	}
	anew := h.ended(platform.Operation{ID: *moves[0].RecreationID}, nil, platform.OperationCompleted)
	b.close("at the end")
	h.upgraded(op, "standard-2")
	if now := h.database(follower.ID); now.Name != follower.Name || *now.ServerID == *follower.ServerID {
		t.Errorf("it is not made anew: %+v", now)
	}
	if notice := h.noticeOf(anew, "follower_recreated"); !strings.Contains(notice, follower.Name) {
		t.Errorf("the notice says %q", notice)
	}
	h.followsNow(follower)
	h.inOrder("at the end")
}
