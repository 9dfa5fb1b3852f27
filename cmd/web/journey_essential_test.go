package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"changeover/bench/ledger"
)

// TestJourneyOfAnEssentialUpgrade is an upgrade within Essential in a real
// browser, on a real server, with writers that keep a ledger: what it will cost is
// read, it is started, watched, and what it keeps is dropped. Out of Essential the
// page names the way.
func TestJourneyOfAnEssentialUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("The browser journey takes a minute; it is left out with -short.")
	}
	findBrowser(t)
	p := runProgram(t)
	token := p.run("token", "-email", firstAdmin)
	p.api(token, "/databases", "app=sushi&plan=essential-0")
	database := p.names(token)[0]
	p.until(token, database, "available", func(d databaseJSON) bool { return d.State == "available" && d.Operation == nil })
	reveal := func(context.Context) (string, error) { return p.configVar(token, "sushi", "DATABASE_URL") }
	address, err := reveal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.Setup(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	writers := ledger.Start(context.WithoutCancel(t.Context()), reveal, 3, ledger.Options{Retry: 50 * time.Millisecond})
	write := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := writers.WaitForCommits(ctx, 20); err != nil {
			t.Fatal(err)
		}
	}
	write()

	b := newTab(t, p.url)
	b.open(p.link)
	b.fill("password", testPassword)
	b.fill("password_again", testPassword)
	b.click("sign-in")
	b.awaitPath(waitForPage, "/databases")

	// 1. Out of Essential it is a copy, and the page says so.
	b.open("/databases/" + database + "/change-plan?plan=standard-0")
	b.awaitText(waitForPage, "start-refusal", "Use copy to move the data to standard-0")
	b.photograph("essential-1-refused")

	// 2. What it will cost stands there before the button.
	b.open("/databases/" + database + "/change-plan?plan=essential-1")
	b.awaitText(waitForPage, "summary", "Data to copy")
	b.awaitText(waitForPage, "summary", "about")
	b.see("maintenance-mode")
	b.photograph("essential-2-change-plan")
	b.click("start")
	b.awaitPath(waitForPage, "/operations/")
	b.photograph("essential-3-running")
	b.await(60*time.Second, "the upgrade is completed", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "completed"`, id("operation-state")))
	operation := b.path()
	b.open(operation)
	b.awaitText(waitForPage, "kept-server", "The old database is kept")
	b.photograph("essential-4-upgraded")

	// 3. Nothing that was acknowledged is missing, at the address that the app has now.
	write()
	report := writers.Stop()
	now, err := reveal(t.Context())
	if err != nil || now == address {
		t.Fatalf("the config var did not change (%v)", err)
	}
	audit, err := writers.Verify(t.Context(), now)
	if err != nil || !audit.Sound() || report.Failed > 0 || report.Acked == 0 {
		t.Fatalf("%v %+v %q", err, audit, report.Errors)
	}
	t.Logf("%d commits, the longest gap of a writer was %s", report.Acked, report.LongestGap)

	// 4. What is kept is dropped at once.
	b.open("/databases/" + database)
	b.awaitText(waitForPage, "plan", "essential-1")
	b.see("kept-server")
	b.photograph("essential-5-database")
	b.click("destroy-old-server")
	b.see("confirm")
	b.fill("confirm", "sushi")
	b.photograph("essential-6-drop")
	b.click("confirm-button")
	b.awaitPath(waitForPage, "/operations/")
	b.await(60*time.Second, "it is dropped", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "completed"`, id("operation-state")))
	b.wantNoErrors()
}

// configVar is one config var of an app, as its processes get it.
func (p *running) configVar(token, app, name string) (string, error) {
	request, err := http.NewRequest(http.MethodGet, p.url+"/apps/"+app+"/config-vars", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	var vars map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&vars); err != nil {
		return "", err
	}
	value, _ := vars[name].(string)
	return value, nil
}
