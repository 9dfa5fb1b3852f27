package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// badPages are pages with one fault each. None of them is the program's.
var badPages = map[string]string{
	"good":     `<p>All is as it should be. <button class="button">Go on</button></p>`,
	"wide":     `<div class="wide">A table that is too wide for a telephone.</div>`,
	"heavy":    `<link rel="stylesheet" href="/heavy.css">`,
	"other":    `<img src="http://localhost:1/dot.png" alt="a dot of another host">`,
	"nameless": `<button><svg width="9" height="9"></svg></button>`,
	"pale":     `<p class="pale">Grey on white.</p>`,
	"ticks":    `<p role="status">Refused for <span data-clock-since="0">0.000</span> s</p>`,
	"shouts":   `<p role="alert">Something moved.</p>`,
	"mute":     `<p data-testid="operation-state">Running</p>`,
	"moves":    `<p class="turns">Turning</p>`,
	"fills":    `<nav><ul><li><a href="#a">One</a></li><li><a href="#b" class="" aria-current="page">Two</a></li></ul></nav>`,
	"flat":     `<button class="flat button">Go on</button>`,
	"colour":   `<p><span class="status"><span class="status-word"></span></span></p>`,
}

// TestPageChecksFail gives every check of TestPages a page on which it must
// fail, and a page on which none does.
func TestPageChecksFail(t *testing.T) {
	findBrowser(t)
	heavy := make([]byte, mostWeight/2)
	_, _ = rand.Read(heavy) // never fails
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/heavy.css" {
			w.Header().Set("Content-Type", "text/css")
			fmt.Fprintf(w, "/* %x */", heavy)
			return
		}
		body, ok := badPages[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>Bad page</title><style>
			body { background: #fff; color: #111; } .wide { width: 700px; } .pale { color: #bbb; } .flat { border: 0; padding: 8px; } .button:not(.flat) { border: 1px solid; padding: 8px; }
			nav a { display: block; padding: 8px; color: #036; } nav a[aria-current] { background: #dde; }
			@keyframes turn { to { transform: rotate(1turn); } } .turns { animation: turn 2s linear infinite; }
		</style></head><body><main><h1>Bad page</h1>%s</main></body></html>`, body)
	}))
	defer server.Close()
	b := newTab(t, server.URL)
	p := &pageWalk{tab: b, catalogueWalk: &catalogueWalk{looks: []look{{"light", 1440}}}, asked: watchTraffic(b), axeText: axeSource(t)}
	for name, want := range map[string]string{
		"good": "", "wide": "it scrolls sideways", "heavy": "it weighs", "other": "it asks for http://localhost:1/", "nameless": "button-name", "pale": "color-contrast",
		"ticks": "what ticks is spoken", "shouts": "it interrupts", "mute": "is not spoken", "moves": "it moves", "fills": "looks like the rest", "flat": "it has no edge", "colour": "a state without",
	} {
		t.Run(name, func(t *testing.T) {
			on := *b
			on.t = t
			p.tab = &on
			wrong := p.faults(p.load("/"+name), p.looks)
			if want == "" && len(wrong) > 0 {
				t.Errorf("the page without a fault: %q", wrong)
			}
			if want != "" && !slices.ContainsFunc(wrong, func(w string) bool { return strings.Contains(w, want) }) {
				t.Errorf("no check says %q; they say %q", want, wrong)
			}
			complained := len(b.errs) > 0
			for len(b.errs) > 0 {
				<-b.errs
			}
			if complained != (name == "other") {
				t.Errorf("the browser complained: %v", complained)
			}
		})
	}
}
