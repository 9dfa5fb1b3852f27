package main

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestJourneyWithoutJavaScript does the main forms as a browser without scripts
// does: posts, redirects, reloads.
func TestJourneyWithoutJavaScript(t *testing.T) {
	if testing.Short() {
		t.Skip("Starting the real program takes seconds; it is left out with -short.")
	}
	p := runProgram(t)
	v := newVisit(t, p.url)
	v.get(p.link)
	v.submit(p.link, "password", testPassword, "password_again", testPassword)
	v.want(200, "/databases")
	reload := func(path, testID, text string) {
		t.Helper()
		await(t, 60*time.Second, testID+" says "+text+" at "+path, func() bool {
			v.get(path)
			return strings.Contains(strings.Join(strings.Fields(v.page.Find(string(id(testID))).Text()), " "), text)
		})
	}
	v.submit("/databases", "app", "sushi", "plan", "standard-0")
	leader := v.path
	if v.status != 200 || !strings.HasPrefix(leader, "/databases/postgresql-") {
		t.Fatalf("%d at %s: %s", v.status, leader, v.text())
	}
	reload(leader, "status", "Available")
	v.submit(leader + "/url")
	databaseURL, err := url.Parse(v.page.Find(string(id("connection-url"))).Text())
	if err != nil || databaseURL.Query().Get("sslmode") != "require" || v.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("the URL was not revealed: %d %s", v.status, v.text())
	}
	databasePassword, _ := databaseURL.User.Password()

	// A config var, maintenance mode, the formation.
	v.get("/apps/sushi")
	v.submit("/apps/sushi/config-vars", "name", "lower-case", "value", "x")
	v.want(422, "/apps/sushi/config-vars")
	if got := v.page.Find("input[name=name]").AttrOr("value", ""); got != "lower-case" {
		t.Errorf("what was typed is lost: %q", got)
	}
	v.submit("/apps/sushi/config-vars", "name", "LOG_LEVEL", "value", "planted-secret-value")
	v.want(200, "/apps/sushi")
	if strings.Contains(v.body, "planted-secret-value") {
		t.Error("the page shows a config var's value without being asked")
	}
	v.submit("/apps/sushi/config-vars/LOG_LEVEL/reveal")
	if !strings.Contains(v.body, "planted-secret-value") {
		t.Error("the value was not revealed")
	}
	v.get("/apps/sushi")
	v.submit("/apps/sushi/maintenance")
	v.wantText("Maintenance mode of sushi is on.")
	v.submit("/apps/sushi/maintenance")
	v.wantText("Maintenance mode of sushi is off.")
	v.submit("/apps/sushi/formation", "process", "worker", "quantity", "2")
	v.wantText("worker=2")

	// An upgrade at a time that is none: what was chosen stays.
	v.get(leader + "/change-plan?plan=standard-2")
	v.submit(leader+"/upgrade", "when", "at", "date", "soon", "time", "07:30", "required_by", "2031-01-02")
	v.refused(leader+"/upgrade", []string{"date"}, map[string]string{"when": "at", "date": "soon", "time": "07:30", "required_by": "2031-01-02"})

	// A follower that is too small, one that is not, and the changeover to it.
	v.get(leader + "/followers/new")
	v.submit(leader+"/followers", "plan", "essential-0")
	v.want(422, leader+"/followers")
	v.submit(leader+"/followers", "plan", "standard-2")
	follower := v.path
	reload(follower, "status", "Available")
	v.get(leader + "/promote")
	v.submit(leader+"/promote", "app", "sushi")
	v.get(follower + "/promote")
	v.wantText("still a follower")
	v.post(follower+"/promote", url.Values{"csrf_token": {v.csrf()}, "app": {"sushi"}})
	v.want(409, follower+"/promote")

	name := strings.TrimPrefix(follower, "/databases/")
	await(t, 30*time.Second, "the changeover is offered", func() bool {
		// While the follower's own operation ends, the upgrade is what is offered.
		v.get(leader + "/change-plan?follower=" + name)
		return v.page.Find(`form[action="`+leader+`/changeover"] `+string(id("start"))).Length() > 0
	})
	v.submit(leader + "/changeover")
	v.want(422, leader+"/changeover")
	v.submit(leader+"/changeover", "confirm_jobs", "yes")
	operation := v.path
	if !strings.HasPrefix(operation, "/operations/") {
		t.Fatalf("%d at %s: %s", v.status, operation, v.text())
	}
	await(t, 60*time.Second, "the changeover is completed", func() bool {
		v.get(operation)
		return v.page.Find(string(id("operation-state"))).AttrOr("data-state", "") == "completed"
	})
	if v.page.Find(string(id("proof"))).AttrOr("data-holds", "") != "true" {
		t.Error("the proof does not hold")
	}
	// What the program did by itself has its row, once.
	v.get("/audit?person=changeover&act=complete+follower+changeover&database=" + strings.TrimPrefix(leader, "/databases/"))
	if rows := v.page.Find("[data-testid=audit] tbody tr").Length(); rows != 1 {
		t.Errorf("%d rows say that the changeover was completed:\n%s", rows, v.text())
	}

	// Fenced for good: unfencing is refused, destroying asks for the app's name.
	v.get(leader + "/unfence")
	v.wantText("has taken its place")
	v.get(leader + "/separate")
	v.submit(leader+"/separate", "confirm", "sushi")
	reload(leader, "status", "Available")
	v.get(leader + "/destroy")
	v.submit(leader+"/destroy", "confirm", "wrong")
	v.want(422, leader+"/destroy")
	v.submit(leader+"/destroy", "confirm", "sushi")
	if !strings.HasPrefix(v.path, "/operations/") {
		t.Fatalf("%d at %s: %s", v.status, v.path, v.text())
	}
	reload(leader, "status", "Destroyed")

	// The fence and back, on the new leader.
	v.get(follower + "/fence")
	v.submit(follower+"/fence", "confirm", "sushi")
	reload(follower, "status", "Fenced")
	v.get(follower + "/unfence")
	v.submit(follower+"/unfence", "confirm", "sushi")
	reload(follower, "status", "Available")

	for _, path := range []string{"/notices", "/audit", "/settings", "/plans", "/search?q=sushi", "/apps"} {
		v.get(path)
		if v.status != 200 {
			t.Errorf("%s: %d", path, v.status)
		}
	}
	p.wantNoSecret(map[string]string{
		"the user's password": testPassword, "the sign-in link": strings.TrimPrefix(p.link, "/sign-in/"), "a config var": "planted-secret-value",
		"the database's password": databasePassword, "the session": v.cookie(sessionCookie), "an API token": p.run("token", "-email", "program@example.com"),
	})
}
