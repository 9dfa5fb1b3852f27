package main

import (
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
)

// The leader's maintenance window goes along in a changeover, and the pages that
// announce one and show it say so.
func TestPagesSayThatTheWindowGoesAlong(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	v := s.signedIn(t, pagesUser)
	d := seed(t, s)
	for _, id := range []int64{d.leader.ID, d.switching.ID} {
		noError(t, db.SetWindow(t.Context(), s.pool, id, platform.Window{Weekday: time.Thursday, Minute: 510}))
	}
	for path, part := range map[string]string{
		databasePath(d.leader.Name) + "/change-plan?method=changeover": "[data-testid=moving]",
		operationPath(d.running.ID):                                    "#side-moving",
	} {
		v.get(path)
		v.want(200, strings.SplitN(path, "?", 2)[0])
		text := strings.Join(strings.Fields(v.page.Find(part).Text()), " ")
		if !strings.Contains(text, "The maintenance window, Thursday 08:30–12:30 UTC: the old leader gets") {
			t.Errorf("%s does not say that the window goes along: %q", path, text)
		}
	}
}
