package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestJourneyOfAnUpgrade is an upgrade in a real browser, on real servers: it is
// started from Change plan, waits for its window, is moved by a week, run at
// once, and switched back; a follower comes along both times.
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

	b := newTab(t, p.url)
	b.open(p.link)
	b.fill("password", testPassword)
	b.fill("password_again", testPassword)
	b.click("sign-in")
	b.awaitPath(waitForPage, "/databases")

	// 1. Started; it is prepared, and then waits for the window.
	b.open("/databases/" + database + "/change-plan?plan=standard-2")
	b.see("next-window")
	b.photograph("upgrade-1-change-plan")
	b.click("start")
	b.awaitPath(waitForPage, "/operations/")
	operation := b.path()
	b.photograph("upgrade-2-preparing")
	b.await(60*time.Second, "it waits for its window", fmt.Sprintf(`document.querySelector(%q)`, id("operation-maintenance")+" "+id("move-form")))
	b.open(operation)
	b.photograph("upgrade-3-waits")
	due := b.text("when")

	// 2. Moved by a week, to the second of the openings.
	b.run("choose the second opening", chromedp.Click(id("move-form")+" label:nth-of-type(2) input"))
	b.click("move")
	b.await(waitForPage, "it is due at another time", fmt.Sprintf(`document.querySelector(%q)?.textContent.trim() && document.querySelector(%q).textContent.trim() !== %q`, id("when"), id("when"), due))

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
	b.wantNoErrors()
}
