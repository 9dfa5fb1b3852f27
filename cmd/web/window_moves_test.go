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
	const window = "The maintenance window, Thursday 08:30–12:30 UTC"
	for _, c := range []struct {
		path, part string
		says       bool
	}{
		{databasePath(d.leader.Name) + "/change-plan?method=changeover", "[data-testid=moving]", true},
		{databasePath(d.leader.Name) + "/change-plan?method=upgrade", "[data-testid=moving]", false}, // the database stays, and its window
		{operationPath(d.running.ID), "#side-moving", true},
	} {
		v.get(c.path)
		v.want(200, strings.SplitN(c.path, "?", 2)[0])
		text := strings.Join(strings.Fields(v.page.Find(c.part).Text()), " ")
		if strings.Contains(text, window) != c.says {
			t.Errorf("%s: that the window goes along is to be said: %t; it says %q", c.path, c.says, text)
		}
	}
}
