package main

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
)

// refused makes sure that a form was refused with a sentence beside each of the
// fields, in a summary that leads there, and with what was typed.
func (v *visit) refused(path string, fields []string, typed map[string]string) {
	v.t.Helper()
	v.want(422, path)
	for _, field := range fields {
		beside := v.page.Find("#error-" + field)
		if beside.Length() != 1 || len(beside.Text()) < 10 {
			v.t.Errorf("%s: %d sentences beside %s: %q", path, beside.Length(), field, beside.Text())
		}
		if v.page.Find("#field-"+field).Length() != 1 {
			v.t.Errorf("%s: the summary of errors leads to no field %s", path, field)
		}
	}
	for name, want := range typed {
		field := v.page.Find(`main form[method=post] [name="` + name + `"]`)
		got := field.AttrOr("value", "")
		switch {
		case field.Is("select"):
			got = field.Find("option[selected]").AttrOr("value", "")
		case field.Is("textarea"):
			got = field.Text()
		case field.Is("[type=radio], [type=checkbox]"):
			got = field.Filter("[checked]").AttrOr("value", "")
		}
		if got != want {
			v.t.Errorf("%s: what was typed at %s is %q now, want %q", path, name, got, want)
		}
	}
}

// apply sends the form that reads, as a browser without scripts does.
func (v *visit) apply(path string, fields ...string) {
	v.t.Helper()
	form := v.page.Find(`form[method=get][action="` + path + `"]`)
	if form.Find("button[type=submit]").Length() == 0 {
		v.t.Fatalf("%s has no form with a button for %s", v.path, path)
	}
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		if form.Find(`[name="`+fields[i]+`"]`).Length() == 0 {
			v.t.Errorf("the form for %s has no field %s", path, fields[i])
		}
		values.Set(fields[i], fields[i+1])
	}
	v.get(path + "?" + values.Encode())
}

// The forms around maintenances and notices without a script: posted as they
// stand, refused with a sentence at the field and with what was typed, then taken.
func TestMaintenanceFormsWithoutJavaScript(t *testing.T) {
	s := newSite(t, nil)
	app := dbtest.App(t, s.pool, "sushi")
	d := dbtest.Database(t, s.pool, app.ID, 20000)
	v := s.signedIn(t, "mei@example.com")

	// The weekly window.
	window := databasePath(d.Name) + "/window"
	v.get(window)
	v.submit(window, "weekday", "3", "time", "02:17")
	v.refused(window, []string{"time"}, map[string]string{"weekday": "3"})
	v.submit(window, "weekday", "3", "time", "02:30")
	v.want(200, databasePath(d.Name))
	v.wantText("Wednesday 02:30–06:30 UTC")

	// Blackouts.
	day := func(n int) string { return time.Now().UTC().AddDate(0, 0, n).Format(time.DateOnly) }
	v.get("/blackouts/new")
	v.submit("/blackouts", "app", "sushi", "reason", "spring sale", "from_date", "tomorrow", "from_time", "03:00", "until_date", day(3), "until_time", "04:30")
	v.refused("/blackouts", []string{"from_date"}, map[string]string{"app": "sushi", "reason": "spring sale", "from_date": "tomorrow", "from_time": "03:00", "until_date": day(3), "until_time": "04:30"})
	v.submit("/blackouts", "from_date", day(2))
	v.want(200, "/maintenances")
	v.wantText("spring sale")
	b, err := db.ListBlackouts(t.Context(), s.pool, time.Now(), time.Now().AddDate(0, 0, 9))
	if err != nil || len(b) != 1 {
		t.Fatalf("%d blackouts (%v)", len(b), err)
	}
	v.submit(fmt.Sprintf("/blackouts/%d/remove", b[0].ID))
	v.want(200, "/maintenances")
	v.wantText("The blackout is removed.")

	// Moved, to a time and to an opening; run; cancelled.
	at := halfHour(50 * time.Hour)
	m := maintenanceOf(t, s, d, &at)
	noError(t, db.SetMaintenanceReady(t.Context(), s.pool, m.ID, time.Now(), &at))
	move := maintenancePath(m.ID) + "/move"
	opened := fmt.Sprintf("/maintenances?open=%d", m.ID)
	v.get(opened)
	v.submit(move, "at", "other", "date", "31 February", "time", "05:30")
	v.refused(move, []string{"date"}, map[string]string{"at": "other", "date": "31 February", "time": "05:30"})
	v.submit(move, "date", day(-2))
	v.refused(move, []string{"at"}, map[string]string{"at": "other", "date": day(-2), "time": "05:30"})
	v.submit(move, "date", day(5))
	v.want(200, "/maintenances")
	v.wantText("is moved to")
	v.wantText("moved by mei@example.com")
	v.get(opened)
	opening := v.page.Find("[data-testid=move-form] input[name=at]").First().AttrOr("value", "")
	v.submit(move, "at", opening)
	v.want(200, "/maintenances")
	if now, err := db.MaintenanceByID(t.Context(), s.pool, m.ID); err != nil || now.ScheduledAt.Format(time.RFC3339) != opening {
		t.Errorf("moved to %s, it is due at %v (%v)", opening, now.ScheduledAt, err)
	}
	v.get(maintenancePath(m.ID) + "/run")
	v.submit(maintenancePath(m.ID) + "/run")
	v.want(200, operationPath(m.OperationID))
	v.get(maintenancePath(m.ID) + "/cancel")
	v.submit(maintenancePath(m.ID) + "/cancel")
	v.want(200, operationPath(m.OperationID))
	v.wantText("Cancelling was asked for.")
	v.get(opened)
	v.wantText("mei@example.com asked to cancel it")

	// What is mailed, webhooks, and which notices are shown.
	cook := s.signedInAs(t, "cook@example.com", false)
	cook.get("/settings/notices")
	cook.submit("/settings/notices", "manage", "sometimes", "operate", "all")
	cook.refused("/settings/notices", []string{"manage"}, map[string]string{"operate": "all"})
	v.get("/apps/sushi/webhooks")
	v.submit("/apps/sushi/webhooks", "url", "ftp://hooks.example.com/x", "which", "needs")
	v.refused("/apps/sushi/webhooks", []string{"url"}, map[string]string{"url": "ftp://hooks.example.com/x", "which": "needs"})
	s.write(t, db.NewNotice{Kind: platform.NoticeFenced, AppID: &app.ID, DatabaseID: &d.ID, Subject: "Fenced: it"})
	s.write(t, db.NewNotice{Kind: platform.NoticePromoted, AppID: &app.ID, Subject: "Promoted: another"})
	v.get("/notices")
	v.apply("/notices", "kind", "fenced", "app", "sushi", "database", d.Name)
	v.want(200, "/notices")
	v.wantText("Fenced: it")
	if text := v.page.Find("main").Text(); len(text) == 0 || v.page.Find("[data-testid=filter-words]").Length() != 1 {
		t.Errorf("it is not said what is left out: %s", v.text())
	}
	if v.page.Find(`main a:contains("Promoted: another")`).Length() != 0 {
		t.Error("what was left out is shown")
	}
}

// A plan that is too small is refused with the smallest that fits: on the page
// before and in the answer.
func TestUpgradeToAPlanThatIsTooSmall(t *testing.T) {
	s := newSite(t, nil)
	d := dbtest.Database(t, s.pool, dbtest.App(t, s.pool, "sushi").ID, 20000)
	page, start := databasePath(d.Name)+"/change-plan", databasePath(d.Name)+"/upgrade"
	v := s.signedIn(t, "mei@example.com")
	for _, tt := range []struct {
		bytes       int64
		connections int
		says        string
	}{
		{100 << 30, 3, "standard-0 holds 64 GB and the data is 100 GB. The smallest plan that fits is standard-2."},
		{1 << 30, 200, "standard-0 takes 120 connections and 200 are in use. The smallest plan that fits is standard-2."},
	} {
		noError(t, db.SetFacts(t.Context(), s.pool, db.Facts{DatabaseID: d.ID, DataBytes: tt.bytes, Connections: tt.connections, Version: "15.8"}))
		v.get(page + "?plan=standard-0")
		v.wantText(tt.says)
		v.post(start, url.Values{"csrf_token": {v.csrf()}, "plan": {"standard-0"}, "when": {"window"}})
		v.want(422, start)
		v.wantText(tt.says)
	}
}
