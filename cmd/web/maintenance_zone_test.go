package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// A reader in Berlin sees the right time on the nights in which the clocks change
// and across the year's end: of a maintenance that is due, beside its openings,
// and under the day and half hour of a form.
func TestMaintenanceTimesInTheReadersZone(t *testing.T) {
	findBrowser(t)
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.listen(ctx)
	v := s.signedIn(t, pagesUser)
	d := seed(t, s)
	b := newTab(t, s.url) // in Berlin
	b.open("/sign-in")
	call(b, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: s.url})
	row := fmt.Sprintf("#maintenance-%d", d.scheduled.ID)
	for _, moment := range []struct{ at, due, form string }{
		{"2027-03-27T23:30:00Z", "Sun 28 Mar 00:30", "Sun 28 Mar 00:30 in Berlin, the clocks change that night"}, // four hours over the gap
		{"2027-03-28T00:30:00Z", "Sun 28 Mar 01:30", "Sun 28 Mar 01:30 in Berlin, the clocks change that night"},
		{"2027-03-28T01:00:00Z", "Sun 28 Mar 03:00", "Sun 28 Mar 03:00 in Berlin, the clocks change that night"},
		{"2027-03-28T22:00:00Z", "Mon 29 Mar 00:00", "Mon 29 Mar 00:00 in Berlin"},
		{"2027-10-31T00:30:00Z", "Sun 31 Oct 02:30", "Sun 31 Oct 02:30 in Berlin, the clocks change that night"}, // the first 02:30
		{"2027-10-31T01:30:00Z", "Sun 31 Oct 02:30", "Sun 31 Oct 02:30 in Berlin, the clocks change that night"}, // the second
		{"2026-12-31T22:30:00Z", "Thu 31 Dec 23:30", "Thu 31 Dec 23:30 in Berlin"},
		{"2026-12-31T23:00:00Z", "Fri 1 Jan 00:00", "Fri 1 Jan 00:00 in Berlin"},
	} {
		at, err := time.Parse(time.RFC3339, moment.at)
		if err != nil {
			t.Fatal(err)
		}
		d.must(db.ScheduleMaintenance(t.Context(), d.pool, d.scheduled.ID, &at, true, "jun@example.com", ""))
		b.open(fmt.Sprintf("/maintenances?open=%d", d.scheduled.ID))
		b.await(waitForPage, moment.at+" is due "+moment.due, fmt.Sprintf(`document.querySelector(%q)?.textContent.trim() === %q`, row+" "+string(id("when")), moment.due))
		ask(b, "choose a day and a time", chromedp.Evaluate[bool](fmt.Sprintf(`(() => {
			const form = document.querySelector(%q);
			const day = form.querySelector("[data-moment-date]"), time = form.querySelector("[data-moment-time]");
			day.value = %q; time.value = %q;
			for (const field of [day, time]) for (const what of ["input", "change"]) field.dispatchEvent(new Event(what, { bubbles: true }));
			return true;
		})()`, row, at.Format(time.DateOnly), at.Format("15:04"))))
		b.await(waitForPage, "the form says "+moment.form, fmt.Sprintf(`document.querySelector(%q)?.textContent.trim() === %q`, row+" [data-moment-local]", moment.form))
	}
	b.picture("maintenance-in-berlin")

	// A live update leaves what was chosen and what is said of it.
	other := time.Date(2026, 12, 30, 9, 0, 0, 0, time.UTC)
	d.must(db.ScheduleMaintenance(t.Context(), d.pool, d.scheduled.ID, &other, true, "jun@example.com", ""))
	b.await(waitForPage, "the page is updated", fmt.Sprintf(`document.querySelector(%q)?.textContent.trim() === "Wed 30 Dec 10:00"`, row+" "+string(id("when"))))
	b.await(waitForPage, "what was chosen stays", fmt.Sprintf(`document.querySelector(%q).value === "23:00" && document.querySelector(%q)?.textContent.trim() === "Fri 1 Jan 00:00 in Berlin"`,
		row+" [data-moment-time]", row+" [data-moment-local]"))

	// The window's page: the opening beside UTC, in the reader's own weekday.
	b.open(databasePath(d.leader.Name) + "/window")
	b.await(waitForPage, "the window stands beside UTC", `/in Berlin/.test(document.querySelector("main").textContent)`)
	ask(b, "choose a day and an hour", chromedp.Evaluate[bool](`(() => {
		const form = document.querySelector("[data-testid=window-form]");
		for (const [name, value] of [["weekday", "6"], ["time", "23:30"]]) {
			form.elements[name].value = value;
			form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
		}
		return true;
	})()`))
	b.await(waitForPage, "what is chosen stands there in the reader's time", fmt.Sprintf(`/^Opens next on Sunday 0[01]:30–0[45]:30 in Berlin/.test(document.querySelector(%q).textContent)`, id("window-local")))

	// Wherever else an opening, a blackout or a switch stands in UTC.
	b.open(databasePath(d.leader.Name))
	b.await(waitForPage, "the next opening", fmt.Sprintf(`/UTC \(.*in Berlin/.test(document.querySelector(%q).textContent)`, id("next-maintenance")))
	// Small enough for whatever disk the test runs on: an upgrade must be possible.
	_, err := d.pool.Exec(t.Context(), `update readings set data_bytes = 1000000 where database_id = $1`, d.leader.ID)
	noError(t, err)
	b.open(databasePath(d.leader.Name) + "/change-plan?plan=standard-4")
	b.await(waitForPage, "what is done in the window", `[...document.querySelectorAll(".part-head")].some((h) => /In the window, .*UTC\s+\(.*in Berlin/.test(h.textContent))`)
	// In the sentences of notices and answers, too.
	notice, err := db.CreateNotice(t.Context(), d.pool, db.NewNotice{Kind: platform.NoticeMaintenanceMoved, DatabaseID: &d.leader.ID, AppID: &d.leader.AppID,
		Subject: "Moved: it", Body: "It is scheduled for Sun 28 Mar 2027 01:00 UTC now."})
	noError(t, err)
	b.open(fmt.Sprintf("/notices/%d", notice))
	b.await(waitForPage, "the sentence of a notice", fmt.Sprintf(`document.querySelector(%q).textContent.includes("01:00 UTC (03:00 in Berlin, the clocks change that night) now.")`, "[data-sentences]"))
	b.wantNoErrors()
}
