package main

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// TestReconnectingKeepsWhatIsShownOnce breaks the live connection of pages that
// must not be fetched again when it is back: one with a secret that is shown
// only once, and one whose form is on the way.
func TestReconnectingKeepsWhatIsShownOnce(t *testing.T) {
	findBrowser(t)
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.listen(ctx)
	v := s.signedIn(t, pagesUser)
	b := newTab(t, s.url)
	call(b, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: s.url})
	const live = `document.querySelector("[data-live=on]")`
	reconnect := func() {
		t.Helper()
		b.await(waitForPage, "the page is live", live)
		s.hub.dropSessions(func(*browser) bool { return true })
		b.await(waitForPage, "the line is gone", `document.querySelector("[data-live=off]")`)
		b.await(waitForPage, "the page is live again", live)
	}

	b.open("/maintenances/calendar")
	b.click("make-feed")
	b.see("feed-url")
	reconnect()
	b.run("wait for what may come", chromedp.Sleep(1500*time.Millisecond))
	b.see("feed-url")

	b.open("/databases")
	b.run("send a form", chromedp.Evaluate[chromedp.Void](`const f = document.createElement("form"); f.dataset.sent = "1"; f.id = "under-way"; document.body.append(f); document.querySelector("h1").textContent = "As it was"; undefined`))
	reconnect()
	b.run("wait for what may come", chromedp.Sleep(1500*time.Millisecond))
	b.await(waitForPage, "the page is as it was", `document.querySelector("h1").textContent === "As it was"`)
	b.run("the answer never came", chromedp.Evaluate[chromedp.Void](`document.getElementById("under-way").remove(); undefined`))
	b.await(waitForPage, "the page is fetched again", `document.querySelector("h1").textContent === "Databases"`)
}
