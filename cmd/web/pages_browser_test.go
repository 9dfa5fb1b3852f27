package main

import (
	"context"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// mostWeight is what the first page of a reader with an empty cache may weigh,
// everything that it asks for included: bytes as transferred.
const mostWeight = 150_000

// pageFacts is what a page says of itself.
type pageFacts struct {
	Title, Lang string
	H1          int
}

// TestPages looks at every page in each of its states with a real browser: in
// both themes and two widths, with the accessibility checker, the weight of
// the first load, and everything that the browser complains of.
// CHANGEOVER_TEST_ALL=1 checks and photographs all four looks; without it two,
// which between them have both themes and both widths.
func TestPages(t *testing.T) {
	if testing.Short() {
		t.Skip("Looking at every page takes a minute; it is left out with -short.")
	}
	findBrowser(t)
	s := newSite(t, map[string]string{"CHANGEOVER_DEVELOPMENT": "1"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.listen(ctx)
	v := s.signedIn(t, pagesUser)
	b := newTab(t, s.url)
	p := &pageWalk{tab: b, asked: watchTraffic(b), axeText: axeSource(t), titles: map[string]string{}}
	looks := []look{{"light", 1440}, {"dark", 390}}
	if os.Getenv("CHANGEOVER_TEST_ALL") != "" {
		looks = []look{{"light", 1440}, {"dark", 1440}, {"light", 390}, {"dark", 390}}
	}
	pages := seed(t, s).shownPages()
	for _, signedOut := range []bool{true, false} {
		if !signedOut {
			call(b, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: s.url})
		}
		for _, page := range pages {
			if page.signedOut == signedOut {
				t.Run(page.name, func(t *testing.T) {
					on := *b
					on.t = t
					p.tab = &on
					start := time.Now()
					p.visit(page, looks)
					t.Logf("%.1f kB, looked at in %d ms", p.weights[len(p.weights)-1].bytes/1000, time.Since(start).Milliseconds())
				})
			}
		}
	}
	heaviest := weighed{}
	for _, w := range p.weights {
		if w.bytes > heaviest.bytes {
			heaviest = w
		}
	}
	t.Logf("%d pages; the heaviest is %s with %.1f kB", len(p.weights), heaviest.name, heaviest.bytes/1000)
}

// pageWalk goes from page to page in one tab.
type pageWalk struct {
	*tab
	asked   *traffic
	axeText string
	titles  map[string]string // of the pages so far: by title the path
	weights []weighed
}

type weighed struct {
	name  string
	bytes float64
}

func (p *pageWalk) visit(page shownPage, looks []look) {
	t := p.t
	call(p.tab, "empty the cache", network.ClearBrowserCache, struct{}{})
	p.lookAs(looks[0])
	p.asked.forget()
	p.open(page.path)
	p.await(waitForPage, "everything is loaded", `document.readyState === "complete" && (!document.getElementById("lag-figure") || document.querySelector("#lag-figure .uplot"))`)
	await(t, waitForPage, "all answers have come", p.asked.settled)
	weight := p.asked.weight()
	p.weights = append(p.weights, weighed{page.name, weight})
	if weight > mostWeight || weight == 0 {
		t.Errorf("it weighs %.0f bytes, at most %d may be transferred", weight, mostWeight)
	}
	p.wantFacts(page)
	if page.then != nil {
		page.then(p.tab)
	}
	for i, as := range looks {
		if i > 0 {
			p.lookAs(as)
		}
		p.axe(p.axeText, as)
		p.picture(page.name + "-" + as.String())
	}
	p.fits(320)
	u, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range p.asked.foreign(u.Host) {
		t.Errorf("it asks for %s", address)
	}
	if page.refused || page.then != nil {
		// The browser complains of the page's own status, which is meant.
		for len(p.errs) > 0 {
			if text := <-p.errs; !isStatus(text) {
				t.Errorf("the page complained: %s", text)
			}
		}
	}
	p.wantNoErrors()
}

// wantFacts holds a page to what every page has: a language, one h1, and a
// title that no other page has.
func (p *pageWalk) wantFacts(page shownPage) {
	f := ask(p.tab, "read the page's facts", chromedp.Evaluate[pageFacts](`({Title: document.title, Lang: document.documentElement.lang, H1: document.querySelectorAll("h1").length})`))
	if f.Lang != "en" || f.H1 != 1 || f.Title == "" {
		p.t.Errorf("lang %q, %d h1, title %q; want en, 1, one", f.Lang, f.H1, f.Title)
	}
	path := ask(p.tab, "read the path", chromedp.Evaluate[string](`location.pathname`))
	if other, ok := p.titles[f.Title]; ok && other != path {
		p.t.Errorf("its title %q is also that of %s", f.Title, other)
	}
	p.titles[f.Title] = path
}
