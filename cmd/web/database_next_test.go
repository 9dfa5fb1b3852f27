package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
)

// The list says which maintenance comes next for each database, and when.
func TestListSaysWhatComesNext(t *testing.T) {
	s := newSite(t, nil)
	sushi := dbtest.App(t, s.pool, "sushi")
	due, prepared, idle := dbtest.Database(t, s.pool, sushi.ID, 20000), dbtest.Database(t, s.pool, sushi.ID, 20001), dbtest.Database(t, s.pool, sushi.ID, 20002)
	at := halfHour(50 * time.Hour)
	m := maintenanceOf(t, s, due, &at)
	noError(t, db.SetMaintenanceReady(t.Context(), s.pool, m.ID, time.Now(), &at))
	maintenanceOf(t, s, prepared, nil)
	v := s.signedIn(t, pagesUser)
	v.get("/databases")
	v.want(200, "/databases")
	next := func(name string) string {
		return strings.Join(strings.Fields(v.page.Find(`[data-testid="row-`+name+`"] [data-label=Next]`).Text()), " ")
	}
	if said := next(due.Name); !strings.Contains(said, "Upgrade to standard-2") {
		t.Errorf("the one that is due: %q", said)
	}
	if got, _ := v.page.Find(`[data-testid="row-` + due.Name + `"] [data-label=Next] time`).Attr("datetime"); !strings.HasPrefix(got, at.Format("2006-01-02T15:04")) {
		t.Errorf("it is due at %q, want %s", got, at)
	}
	if said := next(prepared.Name); !strings.Contains(said, "preparing") {
		t.Errorf("the one that is prepared: %q", said)
	}
	if said := next(idle.Name); strings.Contains(said, "Upgrade") {
		t.Errorf("the one with nothing to come: %q", said)
	}
	if n := v.page.Find("table.databases thead th").Length(); n != v.page.Find(`[data-testid="row-`+due.Name+`"]`).Children().Length() {
		t.Errorf("%d headings", n)
	}
}

// A database whose upgrade waits for its window is what it was before it was
// asked for: available, or whatever else its readings say. It is busy while the
// upgrade is prepared, and from the moment in which it runs.
func TestDatabaseIsAvailableWhileItsUpgradeWaits(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	sushi := dbtest.App(t, s.pool, "sushi")
	d := dbtest.Database(t, s.pool, sushi.ID, 20000)
	v := s.signedIn(t, pagesUser)
	says := func(when, word string, needs bool) {
		t.Helper()
		v.get("/databases")
		v.want(200, "/databases")
		if got := v.page.Find(`[data-testid="row-` + d.Name + `"] td:nth-of-type(2)`).Text(); !strings.HasPrefix(strings.TrimSpace(got), word) {
			t.Errorf("%s: the list says %q, want %q", when, got, word)
		}
		v.get("/databases?filter=attention")
		if got := v.page.Find(`[data-testid="row-`+d.Name+`"]`).Length() > 0; got != needs {
			t.Errorf("%s: it needs a person: %t, want %t", when, got, needs)
		}
		v.get(databasePath(d.Name))
		v.want(200, databasePath(d.Name))
		if got := v.page.Find(string(id("fact-status"))).Text(); !strings.Contains(got, word) {
			t.Errorf("%s: its page says %q, want %q", when, got, word)
		}
		if picture := v.page.Find("svg").Text(); !strings.Contains(picture, word) {
			t.Errorf("%s: the topology does not say %q", when, word)
		}
	}
	at := halfHour(50 * time.Hour)
	m := maintenanceOf(t, s, d, &at)
	says("it is prepared", "Upgrade", false)
	noError(t, db.SetMaintenanceReady(t.Context(), s.pool, m.ID, time.Now(), &at))
	says("it is scheduled", "Available", false)
	noError(t, db.SetMaintenanceReady(t.Context(), s.pool, m.ID, time.Now(), nil))
	says("no opening is free", "Available", false)
	noError(t, db.SetUnanswered(t.Context(), s.pool, d.ID, "It does not answer: connection refused."))
	says("it does not answer", "Does not answer", true)
	noError(t, db.SetFacts(t.Context(), s.pool, db.Facts{DatabaseID: d.ID, Version: "17.6"}))
	_, err := s.pool.Exec(t.Context(), `update databases set full_at = now() where id = $1`, d.ID)
	noError(t, err)
	says("it is full", "Full", true)
	_, err = s.pool.Exec(t.Context(), `update databases set full_at = null where id = $1`, d.ID)
	noError(t, err)
	noError(t, db.SetMaintenanceRunning(t.Context(), s.pool, m.ID, time.Now()))
	says("it runs", "Upgrade", false)
}

// A command in a default directory that nobody has used would make a second
// installation there: it says where to look instead. One that was named begins
// with the command.
func TestCommandsWantTheProgramsHome(t *testing.T) {
	home := newHome(t)
	_, err := openControl(t.Context(), config{Home: home})
	if err == nil || !strings.Contains(err.Error(), "CHANGEOVER_HOME") || !strings.Contains(err.Error(), home) {
		t.Errorf("in an empty directory: %v", err)
	}
	p := &running{t: t, home: home, logs: &logBuffer{}, out: &logBuffer{}}
	if p.bin, err = built(); err != nil {
		t.Fatal(err)
	}
	p.env = append(os.Environ(), "CHANGEOVER_HOME="+home, "DATABASE_URL=", "CHANGEOVER_URL=")
	t.Cleanup(p.clean)
	said := p.run("token", "-email", "first@example.com")
	if token := strings.TrimSpace(said); len(token) < 20 {
		t.Errorf("in a new home that was named the token is %q", said)
	}
}
