package main

import (
	"context"
	"testing"

	"changeover/internal/db"

	"github.com/chromedp/cdproto/network"
)

// TestIdentityPages looks at the pages that differ where an identity provider is
// set: signing in, and the part of the settings that links an account and takes it
// away. It is a setting of the program, so these have a site of their own.
func TestIdentityPages(t *testing.T) {
	findBrowser(t)
	provider := newTestProvider(t)
	s := newSite(t, provider.settings())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.listen(ctx)
	v := s.signedIn(t, pagesUser)
	b := newTab(t, s.url)
	p := &pageWalk{
		tab: b, catalogueWalk: &catalogueWalk{looks: []look{{"light", 1280}, {"dark", 390}}, titles: map[string]string{}},
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
	visit(shownPage{name: "sign-in-provider", path: "/sign-in", signedOut: true})
	call(b, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: s.url})
	visit(shownPage{name: "settings-provider-not-linked", path: "/settings"})
	if err := db.LinkIdentity(t.Context(), s.pool, s.userNamed(t, pagesUser).ID, provider.URL, "42"); err != nil {
		t.Fatal(err)
	}
	visit(shownPage{name: "settings-provider-linked", path: "/settings", then: func(b *tab) {
		b.see("provider-state")
		b.await(waitForPage, "it says since when it is linked", `document.querySelector("[data-testid=provider-state]").textContent.includes("linked since")`)
	}})
	visit(shownPage{name: "settings-provider-unlink-refused", path: "/settings", then: func(b *tab) {
		s.age(b.t)
		b.click("provider-unlink")
		b.see("prove")
	}})
}
