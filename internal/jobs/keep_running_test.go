package jobs_test

import (
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
	"changeover/internal/platform/platformtest"
)

// After a reboot the people of an app learn once that its databases were
// started again, whatever their number, and nothing of another app's.
func TestRebootIsToldOnceForEachApp(t *testing.T) {
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
	told := func() []db.Notice {
		list, err := db.ListNotices(t.Context(), h.pool, 0, platform.Everything(), db.NoticeFilter{Kind: platform.NoticeServerRestarted})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	platformtest.Await(t, "the notices", func() (bool, error) { return len(told()) > 0, nil })
	h.inOrder("after the reboot")
	list := told()
	if len(list) != 2 {
		t.Fatalf("%d notices of one reboot: %+v", len(list), list)
	}
	for _, n := range list {
		if n.Level != platform.NoticeInfo || n.AppID == nil {
			t.Errorf("a reboot that somebody made is no warning: %+v", n)
			continue
		}
		switch *n.AppID {
		case h.app.ID:
			if n.DatabaseID != nil || n.Subject != "Restarted: 2 databases of sushi" || n.Figures[0].Value != "2" ||
				!strings.Contains(n.Body, first.Name) || !strings.Contains(n.Body, second.Name) || strings.Contains(n.Body, alone.Name) {
				t.Errorf("%q: %q %+v", n.Subject, n.Body, n.Figures)
			}
		case other.ID:
			if n.DatabaseName != alone.Name || !strings.HasPrefix(n.Body, alone.Name+" did not run") {
				t.Errorf("%q: %q", n.Subject, n.Body)
			}
		}
	}
}
