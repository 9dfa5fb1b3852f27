package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"

	"github.com/chromedp/chromedp"
)

// shownPage is a page in one of its interesting states.
type shownPage struct {
	route  string // its pattern in routes.go
	name   string // of its pictures
	path   string
	before func() // makes ready what the page shows; may be nil
	// then brings the opened page into its state: a form sent empty, a menu opened.
	then      func(*tab)
	signedOut bool
	refused   bool // it is answered with an error's status on purpose
	offline   bool // its socket cannot be opened, of which the browser complains for as long as it is open
	alone     bool // it changes what other pages show, so no other is open meanwhile
}

// notPages are the GET routes that give no page, and what they give instead.
func notPages() map[string]string {
	return map[string]string{
		"/":         "a redirect to the databases",
		"/live":     "a websocket",
		"/healthz":  "a word for machines",
		"/readyz":   "a word for machines",
		"/metrics":  "figures for machines",
		"/static/*": "files",

		"/calendar/:token": "a calendar",
		"/audit.csv":       "a file",

		"/sign-in/provider":        "a redirect to the identity provider",
		"/sign-in/provider/return": "a redirect, or the sign-in page with what was wrong",
	}
}

// shownPages is every page of the program. Whoever adds a page adds it here,
// in each state that looks different.
func (d *seeded) shownPages() []shownPage {
	link, err := db.CreateSignInLink(d.t.Context(), d.pool, d.user.ID, linkLife)
	d.must(err)
	stop := jobs.UnsubscribePath + jobs.UnsubscribeToken(d.sealer, d.user.ID)
	leader, follower := databasePath(d.leader.Name), databasePath(d.follower.Name)
	separated, fenced := databasePath(d.separated.Name), databasePath(d.fenced.Name)
	return append([]shownPage{
		{route: "/sign-in", name: "sign-in", path: "/sign-in", signedOut: true},
		{route: "/sign-in", name: "sign-in-refused", path: "/sign-in", signedOut: true, then: func(b *tab) {
			b.fill("email", "nobody@example.com")
			b.fill("password", "not the right one")
			b.click("sign-in")
			b.await(waitForPage, "the refusal", `document.querySelector(".error-summary")`)
		}},
		{route: "/sign-in/forgotten", name: "sign-in-forgotten", path: "/sign-in/forgotten", signedOut: true},
		{route: "/sign-in/:token", name: "sign-in-link", path: "/sign-in/" + link, signedOut: true},
		{route: "/sign-in/:token", name: "sign-in-link-dead", path: "/sign-in/no-such-link", signedOut: true, refused: true},
		{route: "/invitations/:token", name: "invitation", path: d.invitation("new@example.com"), signedOut: true},
		{route: "/invitations/:token", name: "invitation-refused", path: d.invitation("newer@example.com"), signedOut: true, then: func(b *tab) {
			b.fill("password", "short")
			b.click("accept")
			b.see("error-password")
		}},
		{route: "/invitations/:token", name: "invitation-account", path: d.invitation("waiter@example.com"), signedOut: true},
		{route: "/invitations/:token", name: "invitation-dead", path: "/invitations/no-such-link", signedOut: true, refused: true},
		{route: "/invitations/:token", name: "invitation-of-another", path: d.invitation("waiter@example.com")},
		{route: "/invitations/:token", name: "invitation-own", path: d.invitation(pagesUser)},
		{route: "", name: "not-found-signed-out", path: "/no/such/page", signedOut: true, refused: true},

		{route: "", name: "not-found", path: "/no/such/page", refused: true},
		{route: "/databases", name: "databases", path: "/databases"},
		{route: "/databases", name: "databases-none-found", path: "/databases?q=nothing-has-this-name"},
		{route: "/databases/new", name: "database-new", path: "/databases/new"},
		{route: "/databases/new", name: "database-new-refused", path: "/databases/new", then: func(b *tab) {
			b.fill("app", "No App Has This Name")
			b.click("create")
			b.see("error-app")
		}},
		{route: "/databases/:database", name: "database", path: leader},
		{route: "/databases/:database", name: "database-follower", path: follower},
		{route: "/databases/:database", name: "database-held-up", path: databasePath(d.heldUp.Name) + "?unit=bytes&range=6h"},
		{route: "/databases/:database", name: "database-switching", path: databasePath(d.switching.Name), before: d.refuseNow},
		{route: "/databases/:database", name: "database-fenced", path: fenced},
		{route: "/databases/:database", name: "database-creating", path: databasePath(d.creating.Name)},
		{route: "/databases/:database", name: "database-copying", path: databasePath(d.copying.Name)},
		{route: "/databases/:database", name: "database-silent", path: databasePath(d.silent.Name)},
		{route: "/databases/:database", name: "database-gone", path: databasePath(d.gone.Name)},
		{route: "/databases/:database", name: "database-revealed", path: leader, alone: true, then: func(b *tab) {
			b.click("reveal-url")
			b.see("connection-url")
		}},
		{route: "/databases/:database/followers/new", name: "follower-new", path: leader + "/followers/new"},
		{route: "/databases/:database/followers/new", name: "follower-new-refused", path: separated + "/followers/new"},
		{route: "/databases/:database/change-plan", name: "change-plan", path: leader + "/change-plan"},
		{route: "/databases/:database/change-plan", name: "change-plan-follower", path: leader + "/change-plan?follower=" + d.follower.Name},
		{route: "/databases/:database/change-plan", name: "change-plan-larger", path: leader + "/change-plan?plan=premium-5"},
		{route: "/databases/:database/change-plan", name: "change-plan-running", path: databasePath(d.switching.Name) + "/change-plan?plan=standard-4"},
		{route: "/databases/:database/change-plan", name: "change-plan-of-follower", path: follower + "/change-plan"},
		{route: "/databases/:database/change-plan", name: "change-plan-replaced", path: fenced + "/change-plan"},
		{route: "/databases/:database/change-plan", name: "change-plan-unusable", path: databasePath(d.essential.Name) + "/change-plan?plan=standard-0"},
		{route: "/databases/:database/recreate", name: "recreate", path: follower + "/recreate"},
		{route: "/databases/:database/unfollow", name: "unfollow", path: follower + "/unfollow"},
		{route: "/databases/:database/promote", name: "promote", path: databasePath(d.replacement.Name) + "/promote"},
		{route: "/databases/:database/fence", name: "fence", path: leader + "/fence"},
		{route: "/databases/:database/unfence", name: "unfence", path: fenced + "/unfence"},
		{route: "/databases/:database/separate", name: "separate", path: fenced + "/separate"},
		{route: "/databases/:database/destroy", name: "destroy", path: follower + "/destroy"},
		{route: "/databases/:database/destroy", name: "destroy-in-the-way", path: fenced + "/destroy"},
		{route: "/databases/:database/destroy", name: "destroy-refused", path: follower + "/destroy", then: func(b *tab) {
			b.fill("confirm", "not it")
			b.click("confirm-button")
			b.see("error-confirm")
		}},
		{route: "/databases/:database/activity", name: "activity", path: leader + "/activity?idle=1"},

		{route: "/apps", name: "apps", path: "/apps"},
		{route: "/apps/:app", name: "app", path: "/apps/sushi"},
		{route: "/apps/:app", name: "app-maintenance", path: "/apps/kitchen"},
		{route: "/apps/:app", name: "app-empty", path: "/apps/an-app-without-anything-yet"},
		{route: "/apps/:app", name: "app-invited", path: "/apps/larder", alone: true, then: func(b *tab) {
			d.prove("now()")
			b.fill("email", "apprentice@example.com")
			b.click("add-collaborator")
			b.see("invitation-link")
		}},
		{route: "/apps/:app", name: "app-collaborator-refused", path: "/apps/sushi", then: func(b *tab) {
			b.fill("email", "waiter@example.com")
			b.click("add-collaborator")
			b.see("error-email")
		}},
		{route: "/apps/:app/leave", name: "app-leave", path: "/apps/sushi/leave"},
		{route: "/apps/:app/leave", name: "app-leave-refused", path: "/apps/kitchen/leave"},
		{route: "/apps/:app/config-vars", name: "config-vars", path: "/apps/sushi/config-vars"},
		{route: "/apps/:app/destroy", name: "app-destroy", path: "/apps/an-app-without-anything-yet/destroy"},

		{route: "/operations/:id", name: "operation-running", path: operationPath(d.running.ID), before: d.refuseNow},
		{route: "/operations/:id", name: "operation-waiting", path: operationPath(d.waiting.ID)},
		{route: "/operations/:id", name: "operation-done", path: operationPath(d.completed.ID)},
		{route: "/operations/:id", name: "operation-undone", path: operationPath(d.undone.ID)},
		{route: "/operations/:id", name: "operation-cancelled", path: operationPath(d.putBack.ID)},
		{route: "/operations/:id", name: "operation-needs-person", path: operationPath(d.stuck.ID)},

		{route: "/maintenances", name: "maintenances", path: "/maintenances"},
		{route: "/maintenances", name: "maintenances-opened", path: fmt.Sprintf("/maintenances?open=%d", d.scheduled.ID)},
		{route: "/maintenances", name: "maintenances-later", path: "/maintenances?history=all&from=" + time.Now().AddDate(0, 0, 14).Format(time.DateOnly)},
		{route: "/maintenances/:id", name: "maintenance-opened", path: maintenancePath(d.scheduled.ID)},
		{route: "/maintenances/:id/run", name: "maintenance-run", path: maintenancePath(d.scheduled.ID) + "/run"},
		{route: "/maintenances/:id/cancel", name: "maintenance-cancel", path: maintenancePath(d.scheduled.ID) + "/cancel"},
		{route: "/maintenances", name: "maintenances-move-refused", path: fmt.Sprintf("/maintenances?open=%d", d.scheduled.ID), then: func(b *tab) {
			b.run("choose another time", chromedp.Click(chromedp.CSS(fmt.Sprintf("#maintenance-%d input[value=other]", d.scheduled.ID))))
			b.run("move without a day", chromedp.Click(chromedp.CSS(fmt.Sprintf("#maintenance-%d button[type=submit]", d.scheduled.ID))))
			b.see("error-date")
		}},
		{route: "/blackouts/new", name: "blackout-new", path: "/blackouts/new"},
		{route: "/blackouts/new", name: "blackout-new-refused", path: "/blackouts/new", then: func(b *tab) {
			b.click("add")
			b.see("error-from_date")
		}},
		{route: "/databases/:database/window", name: "window", path: leader + "/window"},
		{route: "/databases/:database/switch-back", name: "switch-back-refused", path: leader + "/switch-back"},
		{route: "/databases/:database/destroy-old-server", name: "destroy-old-server-refused", path: leader + "/destroy-old-server"},
		{route: "/databases/:database", name: "database-maintenance", path: databasePath(d.scheduled.DatabaseName)},
		{route: "/operations/:id", name: "operation-upgrade", path: operationPath(d.scheduled.OperationID)},
		{route: "/databases/:database/change-plan", name: "change-plan-changeover", path: leader + "/change-plan?method=changeover"},
		{route: "/databases/:database/change-plan", name: "change-plan-essential", path: databasePath(d.essential.Name) + "/change-plan?plan=essential-2"},
		{route: "/operations/:id", name: "operation-essential", path: operationPath(d.movedBy)},
		{route: "/databases/:database", name: "database-essential", path: databasePath(d.essential.Name)},
		{route: "/databases/:database/destroy-old-server", name: "drop-old-database", path: databasePath(d.essential.Name) + "/destroy-old-server"},
		{route: "/maintenances/calendar", name: "calendar-feed", path: "/maintenances/calendar", alone: true},
		{route: "/maintenances/calendar", name: "calendar-feed-made", path: "/maintenances/calendar", alone: true, then: func(b *tab) {
			b.click("make-feed")
			b.see("feed-url")
		}},

		{route: "/notices", name: "notices", path: "/notices"},
		{route: "/notices/:id", name: "notice-several", path: noticePath(d.several)},
		{route: "/notices", name: "notices-unread", path: "/notices?filter=unread"},
		{route: "/notices", name: "notices-filtered", path: "/notices?kind=database_full&app=sushi", then: func(b *tab) {
			b.run("open the filter", chromedp.Click(chromedp.CSS("#notice-filter summary")))
			b.see("filter-apply")
		}},
		{route: "/notices", name: "notices-none-found", path: "/notices?kind=promoted&database=" + d.leader.Name},
		{route: "/notices", name: "notices-older", path: fmt.Sprintf("/notices?before=%d", d.notice-8)},
		{route: "/notices/:id", name: "notice", path: fmt.Sprintf("/notices/%d", d.notice)},
		{route: "/audit", name: "audit", path: "/audit"},
		{route: "/audit", name: "audit-filtered", path: "/audit?act=destroy+database&outcome=refused&person=" + pagesUser},
		{route: "/audit", name: "audit-none", path: "/audit?app=no-such-app"},
		{route: "/audit", name: "audit-refused", path: "/audit?from=2026-02-31", refused: true},
		{route: "/plans", name: "plans", path: "/plans"},
		{route: "/search", name: "search", path: "/search?q=s"},
		{route: "/search", name: "search-nothing", path: "/search?q=nothing-has-this-name"},
		{route: "/settings/people", name: "people", path: "/settings/people"},
		{route: "/settings/people", name: "people-invited", path: "/settings/people", alone: true, then: func(b *tab) {
			d.prove("now()")
			b.fill("email", "second.chef@example.com")
			b.click("invite")
			b.see("invitation-link")
		}},
		{route: "/settings/people", name: "people-refused", path: "/settings/people", then: func(b *tab) {
			b.fill("email", "no address")
			b.click("invite")
			b.see("error-email")
		}},
		{route: "/settings/people/:id", name: "person", path: personPath(d.userNamed(d.t, "waiter@example.com").ID)},
		{route: "/settings/people/:id", name: "person-self", path: personPath(d.user.ID)},
		{route: "/settings/people/:id", name: "person-deactivated", path: personPath(d.userNamed(d.t, "left@example.com").ID)},
		{route: "/settings/reset-link", name: "settings-reset-link", path: "/settings/reset-link", alone: true, then: func(b *tab) {
			d.prove("now()")
			b.fill("email", "mei@example.com")
			b.click("make-reset-link")
			b.await(waitForPage, "an answer", `document.querySelector("[data-testid=reset-link], [data-testid=error-email]")`)
		}},
		{route: "/settings/webhooks", name: "settings-webhooks", path: "/settings/webhooks"},
		{route: "/settings/webhooks", name: "settings-webhooks-refused", path: "/settings/webhooks", then: func(b *tab) {
			b.fill("url", "ftp://hooks.example.com")
			b.click("webhook-create")
			b.see("error-url")
		}},
		{route: "/apps/:app/webhooks", name: "app-webhooks-none", path: "/apps/sushi/webhooks"},
		{route: "/webhooks/:id", name: "webhook", path: webhookPath(d.webhook)},
		{route: "/webhooks/:id", name: "webhook-new-secret", path: webhookPath(d.webhook), then: func(b *tab) {
			b.click("webhook-secret")
			b.see("new-secret")
		}},
		{route: "/settings/notices", name: "settings-notices", path: "/settings/notices"},
		{route: "/unsubscribe/:token", name: "unsubscribe", path: stop},
		{route: "/unsubscribe/:token", name: "unsubscribed", path: stop, then: func(b *tab) {
			b.click("unsubscribe")
			b.see("stopped")
		}},
		{route: "/unsubscribe/:token", name: "unsubscribe-broken", path: jobs.UnsubscribePath + "no-such-link", refused: true},
		{route: "/settings/mail", name: "settings-mail", path: "/settings/mail"},
		{route: "/settings/mail", name: "settings-mail-refused", path: "/settings/mail", then: func(b *tab) {
			b.fill("host", "127.1")
			b.click("mail-save")
			b.see("error-host")
		}},
		{route: "/settings", name: "settings", path: "/settings"},
		{route: "/settings", name: "settings-account-menu", path: "/settings", then: func(b *tab) {
			b.run("open the account's menu", chromedp.Click(chromedp.CSS("details.account summary")))
		}},
		{route: "/apps/:app/destroy", name: "proof", path: "/apps/an-app-without-anything-yet/destroy", alone: true, then: func(b *tab) {
			d.prove("now() - interval '11 minutes'")
			b.fill("confirm", "not it")
			b.click("confirm-button")
			b.see("proof-form")
			d.prove("now()")
		}},
		{route: "/styleguide", name: "styleguide", path: "/styleguide"},
	}, slices.Concat(d.factorPages(), d.poolPages())...)
}

// prove sets when every session's person last proved who they are.
func (d *seeded) prove(at string) {
	_, err := d.pool.Exec(d.t.Context(), `update sessions set proved_at = `+at)
	d.must(err)
}

// Every page is in the catalogue, so that every page is tested and photographed.
func TestEveryPageIsInTheCatalogue(t *testing.T) {
	s := newSite(t, nil)
	s.signedIn(t, pagesUser)
	shown := map[string]bool{}
	for _, p := range seed(t, s).shownPages() {
		shown[p.route] = true
	}
	known, other := map[string]bool{"": true, "/styleguide": true}, notPages()
	for _, r := range s.routes() {
		known[r.path] = known[r.path] || r.method == get
		if r.method == get && !shown[r.path] && other[r.path] == "" {
			t.Errorf("GET %s is a page that shownPages does not list, so no browser test looks at it", r.path)
		}
	}
	for route := range shown {
		if !known[route] {
			t.Errorf("shownPages lists %s, which is no route", route)
		}
	}
	for route := range other {
		if !known[route] {
			t.Errorf("notPages lists %s, which is no route", route)
		}
	}
}
