package main

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
	"changeover/internal/platform/mail/mailtest"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// TestJourneyOfNotices sends a test mail and a test webhook, sees what came of
// both, narrows the feed, and marks it read while another tab counts along.
func TestJourneyOfNotices(t *testing.T) {
	if testing.Short() {
		t.Skip("The journey drives a browser; it is left out with -short.")
	}
	findBrowser(t)
	hook, mailbox := newReceiver(t), mailtest.Start(t, false)
	s := newSite(t, map[string]string{"CHANGEOVER_OUTGOING_ALLOW": strings.TrimPrefix(hook.URL, "http://") + "," + net.JoinHostPort(mailbox.Host, strconv.Itoa(mailbox.Port))})
	s.jobs.Mailer.Roots = mailbox.Roots
	s.setMail(t, mailbox)
	s.startJobs(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.listen(ctx)
	v := s.signedIn(t, pagesUser)
	b := newTab(t, s.url)
	call(b, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: s.url})

	// The two tests, with what came of each on the page.
	b.open("/settings/mail")
	b.click("mail-test")
	b.await(waitForPage, "the mail server's answer", `document.body.innerText.includes("took the test for mei@example.com")`)
	if m := mailbox.Next(t); m.To != pagesUser {
		t.Errorf("the test went to %s", m.To)
	}
	b.open("/settings/webhooks")
	b.fill("url", hook.URL+"/in")
	b.click("webhook-create")
	b.see("new-secret")
	b.open("/webhooks/1")
	b.click("webhook-test")
	b.await(waitForPage, "the receiver's answer", `document.body.innerText.includes("took the test: it answered 200 after")`)
	b.photograph("notices-01-webhook")

	// Three notices leave by webhook, those that need a person by mail, too.
	app := dbtest.App(t, s.pool, "sushi")
	for _, kind := range []platform.NoticeKind{platform.NoticeMaintenanceDone, platform.NoticeFenced, platform.NoticeDatabaseFull} {
		s.write(t, db.NewNotice{Kind: kind, AppID: &app.ID, Subject: "Of the kind " + string(kind)})
	}
	hook.last(t, 4)
	for range 2 {
		if m := mailbox.Next(t); !strings.HasPrefix(m.Header.Get("Subject"), "[sushi] Of the kind ") {
			t.Errorf("arrived %v", m.Header)
		}
	}

	// The feed: another tab counts along.
	other := newTab(t, s.url)
	call(other, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: s.url})
	other.open("/databases")
	unread := func(n string) {
		t.Helper()
		other.await(waitForPage, n+" unread in the other tab", `(document.getElementById("unread").textContent.match(/\d+/) || ["0"])[0] === "`+n+`"`)
	}
	unread("3")
	b.open("/notices")
	b.run("open the filter", chromedp.Click(chromedp.CSS("#notice-filter summary")))
	b.run("choose a kind", chromedp.SetValue(chromedp.CSS("#field-kind"), "database_full"))
	b.click("filter-apply")
	b.await(waitForPage, "one notice of that kind", `location.search.includes("kind=database_full") && document.querySelectorAll("[data-testid=notice]").length === 1`)
	b.photograph("notices-02-filtered")
	b.click("mark-all")
	unread("2")
	b.open("/notices")
	b.await(waitForPage, "all of them", `document.querySelectorAll("[data-testid=notice]").length === 3`)
	s.write(t, db.NewNotice{Kind: platform.NoticeFenced, AppID: &app.ID, Subject: "It comes by itself"})
	b.await(waitForPage, "a new one without a reload", `document.querySelectorAll("[data-testid=notice]").length === 4`)
	b.click("mark-all")
	unread("0")
	b.await(2*time.Second, "nothing left to mark", `!document.querySelector("[data-testid=mark-all]")`)
	b.photograph("notices-03-read")
	b.wantNoErrors()
	other.wantNoErrors()
}
