package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"changeover/bench/ledger"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"
)

// TestJourneyOfAnUpgrade is an upgrade in a real browser, on real servers, with
// writers that keep a ledger and a follower: it is started from Change plan,
// waits for its window and is cancelled, which leaves nothing behind; started
// again, moved by a week, run at once, and switched back. The follower comes
// along each time, and nothing acknowledged is missing.
func TestJourneyOfAnUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("The browser journey takes a minute; it is left out with -short.")
	}
	findBrowser(t)
	p := runProgram(t)
	token := p.run("token", "-email", firstAdmin)
	p.api(token, "/databases", "app=sushi&plan=standard-0")
	database := p.names(token)[0]
	p.until(token, database, "available", func(d databaseJSON) bool { return d.State == "available" && d.Operation == nil })
	p.api(token, "/databases/"+database+"/followers", "plan=standard-0")
	follower := p.names(token)[1]
	if follower == database {
		follower = p.names(token)[0]
	}
	p.until(token, follower, "readable", func(d databaseJSON) bool { return d.Readable && d.Operation == nil })

	j := upgradeJourney{running: p, t: t, token: token, database: database, follower: follower}
	j.write()

	b := newTab(t, p.url)
	b.open(p.link)
	b.fill("password", testPassword)
	b.fill("password_again", testPassword)
	b.click("sign-in")
	b.awaitPath(waitForPage, "/databases")

	// 1. Started; it is prepared, waits for the window, and is cancelled.
	before := j.traces()
	start := func() (operation string) {
		b.open("/databases/" + database + "/change-plan?plan=standard-2")
		b.see("next-window")
		b.whenStaysChosen()
		b.click("start")
		b.awaitPath(waitForPage, "/operations/")
		operation = b.path()
		b.await(60*time.Second, "the replacement is ready", fmt.Sprintf(`/scheduled/.test(document.querySelector(%q)?.textContent)`, id("operation-maintenance")+" .headline"))
		b.see("move-form")
		return operation
	}
	operation := start()
	if during := j.traces(); slices.Equal(during, before) {
		t.Fatalf("no trace of a replacement: %q", during)
	}
	b.click("cancel-maintenance")
	b.see("confirm")
	b.photograph("upgrade-1-cancel")
	b.click("confirm-button")
	b.awaitPath(waitForPage, operation)
	b.await(60*time.Second, "the upgrade is cancelled", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "undone"`, id("operation-state")))
	b.open(operation)
	b.photograph("upgrade-2-cancelled")
	if after := j.traces(); !slices.Equal(after, before) {
		t.Errorf("cancelled, it leaves behind %q; before there was %q", after, before)
	}
	b.open("/databases/" + database)
	b.awaitText(waitForPage, "plan", "standard-0")
	j.nothingLost("after it was cancelled")

	// 2. Started again, and moved by a week, to the second of the openings.
	operation = start()
	b.photograph("upgrade-3-waits")
	due := b.text("when")
	b.run("choose the second opening", chromedp.Click(id("move-form")+" label:nth-of-type(2) input"))
	b.click("move")
	b.await(waitForPage, "it is due at another time", fmt.Sprintf(`document.querySelector(%q)?.textContent.trim() && document.querySelector(%q).textContent.trim() !== %q`, id("when"), id("when"), due))
	j.nothingLost("after it was moved")

	// 3. Run now.
	b.open(operation)
	b.click("run-now")
	b.see("confirm")
	b.photograph("upgrade-4-run-now")
	b.click("confirm-button")
	b.awaitPath(waitForPage, operation)
	b.await(60*time.Second, "the upgrade is completed", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "completed"`, id("operation-state")))
	b.open(operation)
	b.photograph("upgrade-5-upgraded")
	b.open("/databases/" + database)
	b.awaitText(waitForPage, "plan", "standard-2")
	b.awaitText(30*time.Second, "topology", "0 commits")
	b.see("kept-server")
	b.photograph("upgrade-6-database")
	j.nothingLost("after the switch")

	// 4. Switched back.
	b.click("switch-back")
	b.see("confirm")
	b.photograph("upgrade-7-switch-back")
	b.click("confirm-button")
	b.awaitPath(waitForPage, "/operations/")
	b.await(60*time.Second, "the switch back is completed", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "completed"`, id("operation-state")))
	b.open("/databases/" + database)
	b.awaitText(waitForPage, "plan", "standard-0")
	b.awaitText(30*time.Second, "topology", "0 commits")
	b.photograph("upgrade-8-switched-back")
	j.nothingLost("after it was switched back")
	if report := j.writers.Stop(); report.Failed > 0 || report.Acked == 0 {
		t.Errorf("%d commits, %d failed: %q", report.Acked, report.Failed, report.Errors)
	} else {
		t.Logf("%d commits, the longest gap of a writer was %s", report.Acked, report.LongestGap)
	}
	b.wantNoErrors()
}

// upgradeJourney is what the journey looks at beside its pages.
type upgradeJourney struct {
	*running
	t                         *testing.T
	token, database, follower string
	writers                   *ledger.Writers
}

// write starts writers that find the database as the app does.
func (j *upgradeJourney) write() {
	j.t.Helper()
	source := func(context.Context) (string, error) { return j.configVar(j.token, "sushi", "DATABASE_URL") }
	address, err := source(j.t.Context())
	if err != nil {
		j.t.Fatal(err)
	}
	if err := ledger.Setup(j.t.Context(), address); err != nil {
		j.t.Fatal(err)
	}
	// Not as fast as they can: the browser runs beside them.
	j.writers = ledger.Start(context.WithoutCancel(j.t.Context()), source, 2, ledger.Options{Retry: 50 * time.Millisecond, Pace: 5 * time.Millisecond})
	j.t.Cleanup(func() { j.writers.Stop() })
}

// address is a database's own URL.
func (j *upgradeJourney) address(database string) string {
	j.t.Helper()
	answer := j.api(j.token, "/databases/"+database+"/url", "")
	var revealed struct{ URL string }
	if err := json.Unmarshal(answer, &revealed); err != nil || revealed.URL == "" {
		j.t.Fatalf("the URL of %s is not revealed (%v)", database, err)
	}
	return revealed.URL
}

// nothingLost makes sure that the writers write, and that every commit that was
// acknowledged is in the database, and arrives at its follower.
func (j *upgradeJourney) nothingLost(when string) {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(j.t.Context(), 30*time.Second)
	defer cancel()
	if err := j.writers.WaitForCommits(ctx, 20); err != nil {
		j.t.Fatalf("%s: %v", when, err)
	}
	audit, err := j.writers.Verify(ctx, j.address(j.database))
	if err != nil || !audit.Sound() {
		j.t.Fatalf("%s: %v %+v", when, err, audit)
	}
	// What was acknowledged until now is there a moment later.
	j.writers.Pause()
	defer j.writers.Resume()
	follower := j.address(j.follower)
	await(j.t, 30*time.Second, when+": every commit is at the follower", func() bool {
		audit, err := j.writers.Verify(ctx, follower)
		return err == nil && audit.Sound() && audit.Acked > 0
	})
}

// traces are what a replacement leaves while it is there: its data, and a slot on
// the database's server.
func (j *upgradeJourney) traces() []string {
	j.t.Helper()
	var traces []string
	for _, zone := range []string{".", "*"} { // the first zone is the state directory itself
		dirs, err := filepath.Glob(filepath.Join(j.home, zone, "servers", "*", "data"))
		if err != nil {
			j.t.Fatal(err)
		}
		traces = append(traces, dirs...)
	}
	conn, err := pgx.Connect(j.t.Context(), j.address(j.database))
	if err != nil {
		j.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(j.t.Context())) }()
	rows, err := conn.Query(j.t.Context(), `select 'slot ' || slot_name from pg_replication_slots order by slot_name`)
	if err != nil {
		j.t.Fatal(err)
	}
	slots, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(slots) == 0 {
		j.t.Fatalf("the slots: %q (%v)", slots, err)
	}
	return append(traces, slots...)
}
