package main

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/jackc/pgx/v5/pgxpool"
)

// TestBarePages looks at what the pages show when there is nothing yet, and
// when something is broken: the same checks as in TestPages, on a site of
// their own each.
func TestBarePages(t *testing.T) {
	findBrowser(t)
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.listen(ctx)
	v := s.signedIn(t, pagesUser)
	b := newTab(t, s.url)
	p := &pageWalk{
		tab: b, catalogueWalk: &catalogueWalk{looks: []look{{"light", 1440}, {"dark", 390}}, titles: map[string]string{}},
		asked: watchTraffic(b), axeText: axeSource(t),
	}
	visit := func(page shownPage) {
		t.Helper()
		t.Run(page.name, func(t *testing.T) {
			on := *b
			on.t = t
			p.tab = &on
			p.visit(page)
		})
	}
	call(b, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: s.url})

	// The first run: nothing is there.
	for name, path := range map[string]string{"databases": "/databases", "apps": "/apps", "notices": "/notices", "maintenances": "/maintenances", "audit": "/audit"} {
		visit(shownPage{name: "empty-" + name, path: path})
	}

	// The line to the program is gone: the page stays, and says how old it is.
	visit(shownPage{name: "offline", path: "/databases", offline: true, then: func(b *tab) {
		s.hub.close()
		b.await(10*time.Second, "the page says that it is not live", `document.querySelector("#reconnecting:not([hidden])") && document.querySelector("[data-live=off]")`)
	}})

	// A fault of ours: a reference, and what it means for the databases.
	exec := func(sql string) {
		t.Helper()
		if _, err := s.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`alter table blackouts rename to blackouts_away`)
	visit(shownPage{name: "error-500", path: "/maintenances", refused: true})
	exec(`alter table blackouts_away rename to blackouts`)

	// The control database is away.
	away, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/nowhere?connect_timeout=2")
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	s.app.pool = away
	visit(shownPage{name: "error-control-away", path: "/databases", refused: true})
}
