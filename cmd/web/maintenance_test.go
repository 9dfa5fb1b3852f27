package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	ics "github.com/arran4/golang-ical"
	"github.com/jackc/pgx/v5"
)

// maintenanceOf is a maintenance of d to standard-2, at a time.
func maintenanceOf(t testing.TB, s *site, d platform.Database, at *time.Time) platform.Maintenance {
	t.Helper()
	var m platform.Maintenance
	err := db.InTx(t.Context(), s.pool, func(tx pgx.Tx) error {
		op, err := db.InsertOperation(t.Context(), tx, db.NewOperation{Kind: "upgrade", DatabaseID: d.ID, AppID: &d.AppID, RequestedBy: "mei@example.com", StepNames: []string{"check", "copy_leader"}})
		if err != nil {
			return err
		}
		if err := db.InsertSwitch(t.Context(), tx, op.ID); err != nil {
			return err
		}
		m, err = db.CreateMaintenance(t.Context(), tx, db.NewMaintenance{DatabaseID: d.ID, OperationID: op.ID, Kind: platform.MaintenanceUpgrade,
			FromPlan: d.Plan, ToPlan: "standard-2", ScheduledAt: at, CreatedBy: "mei@example.com"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// halfHour is a full or half hour after d from now, on another day than a test
// near midnight could confuse it with.
func halfHour(d time.Duration) time.Time { return time.Now().UTC().Add(d).Truncate(30 * time.Minute) }

func TestMaintenancesWithNothing(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "someone@example.com")
	v.get("/maintenances")
	v.want(200, "/maintenances")
	v.wantText("Nothing is planned")
	v.wantText("Create a database")
	v.wantText("No maintenance has ended yet")
	dbtest.Database(t, s.pool, dbtest.App(t, s.pool, "sushi").ID, 20000)
	v.get("/maintenances")
	v.wantText("weekly window of four hours")
	if n := v.page.Find(".week-idle").Length() - 1; n < 1 { // one is in the legend
		t.Errorf("the database's window is not in the week")
	}
}

func TestMaintenancesShowWhatComesAndWhatWas(t *testing.T) {
	s := newSite(t, nil)
	ctx := t.Context()
	sushi, ramen := dbtest.App(t, s.pool, "sushi"), dbtest.App(t, s.pool, "ramen")
	first, second, old := dbtest.Database(t, s.pool, sushi.ID, 20000), dbtest.Database(t, s.pool, ramen.ID, 20001), dbtest.Database(t, s.pool, ramen.ID, 20002)
	at := halfHour(50 * time.Hour)
	ready := maintenanceOf(t, s, first, &at)
	noError(t, db.SetMaintenanceReady(ctx, s.pool, ready.ID, time.Now(), &at))
	noError(t, db.ScheduleMaintenance(ctx, s.pool, ready.ID, &at, true, "jun@example.com", ""))
	maintenanceOf(t, s, second, nil)
	done := maintenanceOf(t, s, old, nil)
	began, refused := time.Now().Add(-3*time.Minute), 127.4
	noError(t, db.SetMaintenanceRunning(ctx, s.pool, done.ID, began))
	noError(t, db.EndMaintenance(ctx, s.pool, done.ID, platform.MaintenanceCompleted, began.Add(72*time.Second), &refused, ""))
	_, err := db.CreateBlackout(ctx, s.pool, platform.Blackout{From: time.Now().Add(24 * time.Hour), Until: time.Now().Add(60 * time.Hour), Reason: "autumn sale", CreatedBy: "mei@example.com"})
	noError(t, err)

	v := s.signedIn(t, "someone@example.com")
	v.get("/maintenances")
	v.wantText("2 coming 1 blackout")
	rows := v.page.Find("[data-testid=coming] li")
	if rows.Length() != 2 || rows.First().AttrOr("data-testid", "") != "maintenance-"+first.Name {
		t.Fatalf("%d rows, %s first", rows.Length(), rows.First().AttrOr("data-testid", ""))
	}
	row := strings.Join(strings.Fields(rows.First().Text()), " ")
	window, err := db.WindowOf(ctx, s.pool, first.ID)
	noError(t, err)
	for _, part := range []string{"sushi", "Upgrade to standard-2", "moved by jun@example.com", "scheduled", at.Format("Mon 2 Jan 15:04 UTC"), window.String()} {
		if !strings.Contains(row, part) {
			t.Errorf("the row does not say %q: %s", part, row)
		}
	}
	if text := v.page.Find("[data-testid=history]").Text(); !strings.Contains(text, "1 min 12 s") || !strings.Contains(text, "127 ms") || !strings.Contains(text, "completed") {
		t.Errorf("history: %s", text)
	}
	if text := v.page.Find("[data-testid=blackouts]").Text(); !strings.Contains(text, "autumn sale") || !strings.Contains(text, "all apps") {
		t.Errorf("blackouts: %s", text)
	}
	list := strings.Join(strings.Fields(v.page.Find("[data-testid=week-list]").Text()), " ")
	for _, part := range []string{"sushi: switch at " + at.Format("15:04"), "Blackout from", "autumn sale, all apps", "done " + began.UTC().Format("15:04"), "refused 127 ms"} {
		if !strings.Contains(list, part) {
			t.Errorf("the week's list does not say %q: %s", part, list)
		}
	}
	if n := v.page.Find("[data-testid=coming-count]").Text(); strings.TrimSpace(n) != "2" {
		t.Errorf("the rail counts %q", n)
	}

	// A week later nothing of it is seen, and the way back is.
	v.get(v.page.Find("[data-testid=later]").AttrOr("href", ""))
	if list := v.page.Find("[data-testid=week-list]").Text(); strings.Contains(list, "switch at") || strings.Contains(list, "Blackout") {
		t.Errorf("the week after: %s", list)
	}
	v.get(v.page.Find("[data-testid=today]").AttrOr("href", ""))
	v.wantText("The next 7 days")
	for _, odd := range []string{"nonsense", "0000-00-00", "99999-01-01", "1200-01-01", "2026-13-40"} {
		if v.get("/maintenances?from=" + odd); v.status != 200 {
			t.Errorf("from=%s: %d", odd, v.status)
		}
		v.wantText("The next 7 days")
	}
}

func TestMaintenancesAreOfWhatOneMaySee(t *testing.T) {
	s := newSite(t, nil)
	sushi, ramen := dbtest.App(t, s.pool, "sushi"), dbtest.App(t, s.pool, "ramen")
	mine, foreign := dbtest.Database(t, s.pool, sushi.ID, 20000), dbtest.Database(t, s.pool, ramen.ID, 20001)
	at := halfHour(30 * time.Hour)
	maintenanceOf(t, s, mine, &at)
	maintenanceOf(t, s, foreign, &at)
	for _, b := range []platform.Blackout{{AppID: &ramen.ID, Reason: "their feast"}, {AppID: &sushi.ID, Reason: "our feast"}} {
		b.From, b.Until, b.CreatedBy = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour), "mei@example.com"
		_, err := db.CreateBlackout(t.Context(), s.pool, b)
		noError(t, err)
	}
	v := s.signedInAs(t, "viewer@example.com", false)
	s.give(t, "viewer@example.com", sushi.ID, platform.RoleView)
	v.get("/maintenances")
	v.wantText("our feast")
	for _, secret := range []string{foreign.Name, "ramen", "their feast"} {
		if strings.Contains(v.page.Find("main").Text(), secret) {
			t.Errorf("the page tells of %s", secret)
		}
	}
	user := s.userNamed(t, "viewer@example.com")
	access, err := db.AccessOf(t.Context(), s.pool, user.ID)
	noError(t, err)
	fragments, err := s.renderMaintenances(t.Context(), eyes{user.ID, access})
	noError(t, err)
	if all := strings.Join(fragments, ""); !strings.Contains(all, mine.Name) || strings.Contains(all, "ramen") {
		t.Errorf("the live fragments tell of what is another's, or not of one's own")
	}
}

// feedOf makes the visitor's feed and returns its path.
func feedOf(t *testing.T, s *site, v *visit) string {
	t.Helper()
	v.get("/maintenances/calendar")
	v.submit("/maintenances/calendar")
	v.want(200, "/maintenances/calendar")
	url := v.page.Find("[data-testid=feed-url]").Text()
	path, found := strings.CutPrefix(url, s.cfg.URL.String())
	if !found || !strings.HasPrefix(path, "/calendar/") {
		t.Fatalf("the address is %q", url)
	}
	if sub := v.page.Find("[data-testid=subscribe]").AttrOr("href", ""); !strings.HasPrefix(sub, "webcal://") || !strings.HasSuffix(sub, path) {
		t.Errorf("subscribe leads to %q", sub)
	}
	return path
}

func fetchFeed(t *testing.T, s *site, path string) (*ics.Calendar, string) {
	t.Helper()
	stranger := s.visit(t)
	stranger.get(path)
	if stranger.status != http.StatusOK || stranger.header.Get("Content-Type") != "text/calendar; charset=utf-8" {
		t.Fatalf("%d %s: %s", stranger.status, stranger.header.Get("Content-Type"), stranger.body)
	}
	calendar, err := ics.ParseCalendar(strings.NewReader(stranger.body))
	noError(t, err)
	return calendar, stranger.body
}

func property(e *ics.VEvent, name ics.ComponentProperty) string {
	if p := e.GetProperty(name); p != nil {
		return p.Value
	}
	return ""
}

func TestCalendarFeedTellsEveryChange(t *testing.T) {
	s := newSite(t, nil)
	ctx := t.Context()
	d := dbtest.Database(t, s.pool, dbtest.App(t, s.pool, "sushi").ID, 20000)
	at := time.Date(2026, 12, 31, 23, 30, 0, 0, time.UTC)
	m := maintenanceOf(t, s, d, &at)
	v := s.signedIn(t, "mei@example.com")
	path := feedOf(t, s, v)

	event := func() (*ics.VEvent, string) {
		t.Helper()
		calendar, body := fetchFeed(t, s, path)
		if len(calendar.Events()) != 1 {
			t.Fatalf("%d events\n%s", len(calendar.Events()), body)
		}
		for i, line := range strings.Split(body, "\r\n") {
			if len(line) > 75 || strings.ContainsAny(line, "\n\r") {
				t.Errorf("line %d is no line of RFC 5545: %q", i+1, line)
			}
		}
		return calendar.Events()[0], body
	}
	e, body := event()
	uid, sequence := property(e, ics.ComponentPropertyUniqueId), property(e, ics.ComponentPropertySequence)
	for what, line := range map[string]string{
		"start": "DTSTART:20261231T233000Z", "end": "DTEND:20270101T033000Z", "state": "STATUS:TENTATIVE", "method": "METHOD:PUBLISH", "refresh": "REFRESH-INTERVAL;VALUE=DURATION:PT15M",
	} {
		if !strings.Contains(body, "\r\n"+line+"\r\n") {
			t.Errorf("%s: no line %s in\n%s", what, line, body)
		}
	}
	if s := property(e, ics.ComponentPropertySummary); s != "sushi: Upgrade to standard-2 of "+d.Name {
		t.Errorf("summary %q", s)
	}
	if len(uid) != 36 {
		t.Errorf("uid %q", uid)
	}
	changes := []struct {
		act    func() error
		status string
		start  time.Time
	}{
		{func() error { return db.SetMaintenanceReady(ctx, s.pool, m.ID, time.Now(), &at) }, "CONFIRMED", at},
		{func() error {
			later := at.Add(7 * 24 * time.Hour)
			return db.ScheduleMaintenance(ctx, s.pool, m.ID, &later, true, "jun@example.com", "")
		}, "CONFIRMED", at.Add(7 * 24 * time.Hour)},
		{func() error {
			return db.EndMaintenance(ctx, s.pool, m.ID, platform.MaintenanceCancelled, time.Now(), nil, "Not now; later,\nmaybe\rBEGIN:VEVENT")
		}, "CANCELLED", at.Add(7 * 24 * time.Hour)},
	}
	for i, change := range changes {
		noError(t, change.act())
		e, body = event()
		start, err := e.GetStartAt()
		noError(t, err)
		next := property(e, ics.ComponentPropertySequence)
		var before, after int
		if _, err := fmt.Sscan(sequence+" "+next, &before, &after); err != nil || after <= before {
			t.Errorf("change %d: the sequence went from %s to %s", i, sequence, next)
		}
		sequence = next
		if property(e, ics.ComponentPropertyUniqueId) != uid || property(e, ics.ComponentPropertyStatus) != change.status || !start.Equal(change.start) {
			t.Errorf("change %d:\n%s", i, body)
		}
	}
	if strings.Contains(body, "\rBEGIN") || !strings.Contains(property(e, ics.ComponentPropertyDescription), "Not now; later,\nmaybe BEGIN:VEVENT") {
		t.Errorf("the reason is not one text: %q", property(e, ics.ComponentPropertyDescription))
	}
}

func TestCalendarFeedIsASecretThatCanBeRevoked(t *testing.T) {
	s := newSite(t, nil)
	sushi, ramen := dbtest.App(t, s.pool, "sushi"), dbtest.App(t, s.pool, "ramen")
	at := halfHour(30 * time.Hour)
	maintenanceOf(t, s, dbtest.Database(t, s.pool, sushi.ID, 20000), &at)
	maintenanceOf(t, s, dbtest.Database(t, s.pool, ramen.ID, 20001), &at)
	v := s.signedInAs(t, "viewer@example.com", false)
	s.give(t, "viewer@example.com", sushi.ID, platform.RoleView)
	path := feedOf(t, s, v)
	if calendar, body := fetchFeed(t, s, path); len(calendar.Events()) != 1 || strings.Contains(body, "ramen") {
		t.Errorf("a viewer of sushi is told:\n%s", body)
	}
	token := strings.TrimSuffix(strings.TrimPrefix(path, "/calendar/"), ".ics")
	if strings.Contains(s.logs.String(), token) {
		t.Error("the token is in the log")
	}
	if v.get("/maintenances/calendar"); strings.Contains(v.body, token) {
		t.Error("the address is shown again")
	}
	v.wantText("Last fetched by a calendar")
	// A role that is taken away takes what it showed out of the feed.
	noError(t, db.InTx(t.Context(), s.pool, func(tx pgx.Tx) error {
		return db.RemoveMember(t.Context(), tx, sushi.ID, s.userNamed(t, "viewer@example.com").ID)
	}))
	if calendar, body := fetchFeed(t, s, path); len(calendar.Events()) != 0 {
		t.Errorf("without a role:\n%s", body)
	}
	newPath := feedOf(t, s, v)
	stranger := s.visit(t)
	gone := func(path string) {
		t.Helper()
		if stranger.get(path); stranger.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, stranger.status)
		}
	}
	gone(path)
	fetchFeed(t, s, newPath)
	v.get("/maintenances/calendar")
	v.submit("/maintenances/calendar/revoke")
	v.wantText("The feed is revoked")
	gone(newPath)
	gone("/calendar/x")
	gone("/calendar/.ics")
}

// The list asks as much for many maintenances as for two.
func TestMaintenancesAskAsMuchForMany(t *testing.T) {
	s := newSite(t, nil)
	at := halfHour(50 * time.Hour)
	var counts []int64
	for i := range 12 {
		app := dbtest.App(t, s.pool, fmt.Sprintf("app-%d", i))
		maintenanceOf(t, s, dbtest.Database(t, s.pool, app.ID, 20000+i), &at)
		if i != 1 && i != 11 {
			continue
		}
		coming, err := db.ComingMaintenances(t.Context(), s.pool, db.MaintenanceFilter{})
		noError(t, err)
		ctx, asked := db.CountQueries(t.Context())
		rows, err := s.comingRows(ctx, platform.Everything(), coming, time.Now(), 0)
		noError(t, err)
		counts = append(counts, asked.Load())
		if len(rows) != i+1 || !rows[i].MayAct || len(rows[i].Openings) < openingsOffered {
			t.Errorf("%d rows: %+v", len(rows), rows[len(rows)-1])
		}
	}
	if counts[0] != counts[1] || counts[0] == 0 {
		t.Errorf("2 and 12 maintenances ask %d questions", counts)
	}
}
