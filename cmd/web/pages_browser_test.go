package main

import (
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
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
//
// The pages are shared out among as many browsers as there are processors, but
// for those that change what the others show.
func TestPages(t *testing.T) {
	if testing.Short() {
		t.Skip("Looking at every page takes a minute; it is left out with -short.")
	}
	findBrowser(t)
	// With every way in; nobody at the identity provider is asked until its button is pressed.
	s := newSite(t, map[string]string{"CHANGEOVER_DEVELOPMENT": "1", "CHANGEOVER_OIDC_ISSUER": "https://accounts.example.com", "CHANGEOVER_OIDC_CLIENT_ID": "changeover", "CHANGEOVER_OIDC_DOMAINS": "example.com"})
	go s.listen(t.Context())
	v := s.signedIn(t, pagesUser)
	c := &catalogueWalk{looks: []look{{"light", 1440}, {"dark", 390}}, titles: map[string]string{}}
	if os.Getenv("CHANGEOVER_TEST_ALL") != "" {
		c.looks = []look{{"light", 1440}, {"dark", 1440}, {"light", 390}, {"dark", 390}}
	}
	pages := seed(t, s).shownPages()
	// By the name, at which there can be passkeys.
	at := strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	source := axeSource(t)
	free := make(chan *pageWalk, min(runtime.GOMAXPROCS(0), 4))
	for range cap(free) {
		b := newTab(t, at)
		free <- &pageWalk{tab: b, catalogueWalk: c, asked: watchTraffic(b), axeText: source}
	}
	show := func(page shownPage, together bool) {
		t.Run(page.name, func(t *testing.T) {
			if together {
				t.Parallel()
			}
			p := <-free
			defer func() { free <- p }()
			on := *p.tab
			on.t = t
			p.tab = &on
			start := time.Now()
			weight := p.visit(page)
			t.Logf("%.1f kB, looked at in %d ms", weight/1000, time.Since(start).Milliseconds())
		})
	}
	for _, page := range pages {
		if page.signedOut {
			show(page, false)
		}
	}
	for range cap(free) {
		p := <-free
		call(&tab{t: t, ctx: p.ctx}, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: at})
		free <- p
	}
	for _, page := range pages {
		if page.alone {
			show(page, false)
		}
	}
	for _, page := range pages {
		if !page.alone && !page.signedOut {
			show(page, true)
		}
	}
	t.Cleanup(func() { t.Logf("%d pages; the heaviest is %s with %.1f kB", c.seen, c.heaviest, c.weight/1000) })
}

// catalogueWalk is what the browsers that share the pages tell each other.
type catalogueWalk struct {
	looks    []look
	mu       sync.Mutex
	titles   map[string]string // of the pages so far: by title the path
	seen     int
	heaviest string
	weight   float64
}

// pageWalk goes from page to page in one tab.
type pageWalk struct {
	*tab
	*catalogueWalk
	asked   *traffic
	axeText string
}

// visit checks one page, and returns what it weighed in bytes.
func (p *pageWalk) visit(page shownPage) float64 {
	t := p.t
	if page.before != nil {
		page.before()
	}
	weight := p.load(page.path)
	p.weighed(page.name, weight)
	p.wantFacts(page)
	if page.then != nil {
		page.then(p.tab)
	}
	for _, w := range p.faults(weight, p.looks, func(as look) { p.picture(page.name + "-" + as.String()) }) {
		t.Error(w)
	}
	if page.refused || page.then != nil {
		// The browser complains of the page's own status, which is meant.
		for len(p.errs) > 0 {
			if text := <-p.errs; !isStatus(text) && !(page.offline && strings.Contains(text, "WebSocket connection to")) {
				t.Errorf("the page complained: %s", text)
			}
		}
	}
	p.wantNoErrors()
	return weight
}

// faults is all that is wrong with the page that is open, in each of the looks;
// it is in the first one. What then is done in each look, when it was checked.
func (p *pageWalk) faults(weight float64, looks []look, then ...func(look)) (wrong []string) {
	p.t.Helper()
	wrong = tooHeavy(weight)
	for i, as := range looks {
		if i > 0 {
			p.lookAs(as)
		}
		wrong = append(wrong, p.axe(p.axeText, as)...)
		for _, do := range then {
			do(as)
		}
	}
	wrong = append(wrong, p.voices()...)
	wrong = append(wrong, p.moves()...)
	wrong = append(wrong, p.tooWide(320)...)
	wrong = append(wrong, p.others()...)
	return append(wrong, p.lostColors()...)
}

// load opens a page with an empty cache, in the first look, until everything
// has come. It returns how much that was.
func (p *pageWalk) load(path string) float64 {
	p.t.Helper()
	call(p.tab, "empty the cache", network.ClearBrowserCache, struct{}{})
	p.lookAs(p.looks[0])
	p.asked.forget()
	p.open(path)
	p.await(waitForPage, "everything is loaded", `document.readyState === "complete" && (!document.getElementById("lag-figure") || document.querySelector("#lag-figure .uplot"))`)
	await(p.t, waitForPage, "all answers have come", p.asked.settled)
	return p.asked.weight()
}

func tooHeavy(weight float64) []string {
	if weight > mostWeight || weight == 0 {
		return []string{fmt.Sprintf("it weighs %.0f bytes, at most %d may be transferred", weight, mostWeight)}
	}
	return nil
}

// others are the requests to another host than the program's.
func (p *pageWalk) others() (wrong []string) {
	p.t.Helper()
	u, err := url.Parse(p.url)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, address := range p.asked.foreign(u.Host) {
		wrong = append(wrong, "it asks for "+address)
	}
	return wrong
}

func (c *catalogueWalk) weighed(name string, weight float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen++
	if weight > c.weight {
		c.heaviest, c.weight = name, weight
	}
}

// wantFacts holds a page to what every page has: a language, one h1, and a
// title that no other page has.
func (p *pageWalk) wantFacts(page shownPage) {
	f := ask(p.tab, "read the page's facts", chromedp.Evaluate[pageFacts](`({Title: document.title, Lang: document.documentElement.lang, H1: document.querySelectorAll("h1").length})`))
	if f.Lang != "en" || f.H1 != 1 || f.Title == "" {
		p.t.Errorf("lang %q, %d h1, title %q; want en, 1, one", f.Lang, f.H1, f.Title)
	}
	path := ask(p.tab, "read the path", chromedp.Evaluate[string](`location.pathname`))
	p.mu.Lock()
	defer p.mu.Unlock()
	if other, ok := p.titles[f.Title]; ok && other != path {
		p.t.Errorf("its title %q is also that of %s", f.Title, other)
	}
	p.titles[f.Title] = path
}
