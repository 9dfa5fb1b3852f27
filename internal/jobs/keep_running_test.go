package jobs_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/platformtest"
)

// restartsSeenBy are the notices of restarts as somebody with that access reads them.
func (h *house) restartsSeenBy(access platform.Access) []db.Notice {
	h.t.Helper()
	list, err := db.ListNotices(h.t.Context(), h.pool, 0, access, db.NoticeFilter{Kind: platform.NoticeServerRestarted})
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

func onlyOn(app platform.App) platform.Access {
	return platform.Access{Apps: map[int64]platform.Role{app.ID: platform.RoleView}}
}

// After a reboot everybody learns once that databases were started again,
// whatever their number and that of the apps, and nothing of another app's.
func TestRebootIsToldOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	other := dbtest.App(t, h.pool, "ramen")
	first, second := h.leader("standard-0"), h.leader("standard-0")
	op, err := h.jobs.StartCreateDatabase(t.Context(), actor, other.ID, "standard-0", h.engine.Installations()[0].Major)
	alone := h.database(h.ended(op, err, platform.OperationCompleted).DatabaseID)
	h.close()
	for _, d := range []platform.Database{first, second, alone} {
		h.kill9(d)
		platformtest.Await(t, "nothing of it runs, as after a reboot", func() (bool, error) {
			status, err := h.engine.Status(t.Context(), h.serverOf(d))
			return !status.Running, err
		})
	}
	h.open()
	platformtest.Await(t, "the notice", func() (bool, error) { return len(h.restartsSeenBy(platform.Everything())) > 0, nil })
	h.inOrder("after the reboot")
	for _, c := range []struct {
		who           string
		access        platform.Access
		subject       string
		named, hidden []string
	}{
		{"an administrator", platform.Everything(), "Restarted: 3 databases of 2 apps", []string{first.Name, second.Name, alone.Name}, nil},
		{"sushi's people", onlyOn(h.app), "Restarted: 2 databases of sushi", []string{first.Name, second.Name}, []string{alone.Name, "ramen"}},
		{"ramen's people", onlyOn(other), "Restarted: " + alone.Name, []string{alone.Name}, []string{first.Name, second.Name, "sushi"}},
		{"nobody's people", platform.Access{}, "", nil, nil},
	} {
		list := h.restartsSeenBy(c.access)
		if c.subject == "" {
			if len(list) != 0 {
				t.Errorf("%s: %+v", c.who, list)
			}
			continue
		}
		if len(list) != 1 {
			t.Errorf("%s: %d notices of one reboot: %+v", c.who, len(list), list)
			continue
		}
		n := list[0]
		if n.Level != platform.NoticeInfo || n.Subject != c.subject || !strings.HasPrefix(n.Body, "Not running when Changeover started, at ") {
			t.Errorf("%s: a reboot that somebody made is no warning: %+v", c.who, n)
		}
		all := n.Subject + n.Body
		if slices.ContainsFunc(c.named, func(s string) bool { return !strings.Contains(all, s) }) || slices.ContainsFunc(c.hidden, func(s string) bool { return strings.Contains(all, s) }) {
			t.Errorf("%s should read of %v and not of %v:\n%s", c.who, c.named, c.hidden, all)
		}
	}
	for _, d := range []platform.Database{first, second, alone} {
		list, err := db.ListNotices(t.Context(), h.pool, 0, platform.Everything(), db.NoticeFilter{DatabaseID: d.ID, Kind: platform.NoticeServerRestarted})
		if err != nil || len(list) != 1 {
			t.Errorf("the notices about %s: %+v, %v", d.Name, list, err)
		}
	}
}

// What does not come back is told of with what does, after a minute, to whom it
// concerns; when it comes back later another notice says so.
func TestRebootTellsWhatDidNotComeBack(t *testing.T) {
	t.Parallel()
	pool, ctx := dbtest.New(t), t.Context()
	j, err := jobs.New(jobs.Config{Pool: pool, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	sushi, ramen := dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "ramen")
	var databases []platform.Database
	var servers []int64
	for i, app := range []platform.App{sushi, sushi, ramen} {
		d := dbtest.Database(t, pool, app.ID, 21001+i)
		databases, servers = append(databases, d), append(servers, *d.ServerID)
		if err := db.SetServerFoundStopped(ctx, pool, *d.ServerID); err != nil {
			t.Fatal(err)
		}
	}
	read := func(access platform.Access) []db.Notice {
		t.Helper()
		list, err := db.ListNotices(ctx, pool, 0, access, db.NoticeFilter{})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	tell := func(startedAt time.Time, running, stopped []int64) {
		t.Helper()
		if err := j.TellRestarted(ctx, startedAt, running, stopped); err != nil {
			t.Fatal(err)
		}
	}
	tell(time.Now(), servers[:2], servers[2:])
	if list := read(platform.Everything()); len(list) != 0 {
		t.Fatalf("it was told before the last one had its minute: %+v", list)
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`update servers set found_stopped_at = now() - interval '61 seconds'`)
	for range 3 { // once, however often it is looked
		tell(time.Now().Add(-61*time.Second), servers[:2], servers[2:])
	}
	all, theirs, stopped := read(platform.Everything()), read(onlyOn(sushi)), read(onlyOn(ramen))
	if len(all) != 1 || all[0].Level != platform.NoticeBad || all[0].Subject != "Restarted: 2 databases of sushi; "+databases[2].Name+" does not run" || !strings.Contains(all[0].Body, platform.StoppedToDo) {
		t.Errorf("an administrator reads %+v", all)
	}
	if len(theirs) != 1 || theirs[0].Level != platform.NoticeInfo || theirs[0].Subject != "Restarted: 2 databases of sushi" || strings.Contains(theirs[0].Body, databases[2].Name) || !strings.Contains(theirs[0].Body, platform.RestartedToDo) {
		t.Errorf("those whose databases all run read %+v", theirs)
	}
	if len(stopped) != 1 || stopped[0].Level != platform.NoticeBad || stopped[0].Subject != "Not running: "+databases[2].Name {
		t.Errorf("those whose database does not run read %+v", stopped)
	}
	tell(time.Now().Add(-61*time.Second), servers[2:], nil)
	if list := read(onlyOn(ramen)); len(list) != 2 || list[0].Subject != "Restarted: "+databases[2].Name || list[0].Level != platform.NoticeOK {
		t.Errorf("when it came back: %+v", list)
	}
	if list := read(onlyOn(sushi)); len(list) != 1 {
		t.Errorf("the others were told again: %+v", list)
	}
}
