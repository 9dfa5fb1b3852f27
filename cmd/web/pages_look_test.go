package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// axeSource is the accessibility checker, which must be the pinned one.
func axeSource(t *testing.T) string {
	t.Helper()
	var manifest struct{ File, SHA256, Version, Licence string }
	text, err := os.ReadFile("testdata/axe/manifest.json")
	if err == nil {
		err = json.Unmarshal(text, &manifest)
	}
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join("testdata/axe", manifest.File))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(source); hex.EncodeToString(sum[:]) != manifest.SHA256 || manifest.Version == "" || manifest.Licence == "" {
		t.Fatalf("testdata/axe/%s is not what its manifest says", manifest.File)
	}
	return string(source)
}

// traffic is what the browser asks for, and how much comes back.
type traffic struct {
	mu      sync.Mutex
	open    map[network.RequestID]bool
	bytes   map[string]float64 // as transferred, headers and all, by address
	address map[network.RequestID]string
}

// watchTraffic notes every request of the tab from now on.
func watchTraffic(b *tab) *traffic {
	b.t.Helper()
	f := &traffic{}
	f.forget()
	if err := chromedp.Listen(b.ctx, f.hear); err != nil {
		b.t.Fatal(err)
	}
	return f
}

func (f *traffic) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open, f.bytes, f.address = map[network.RequestID]bool{}, map[string]float64{}, map[network.RequestID]string{}
}

func (f *traffic) hear(event any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		f.open[e.RequestID], f.address[e.RequestID] = true, e.Request.URL
		f.bytes[e.Request.URL] += 0
	case *network.EventLoadingFinished:
		delete(f.open, e.RequestID)
		f.bytes[f.address[e.RequestID]] += e.EncodedDataLength
	case *network.EventLoadingFailed:
		delete(f.open, e.RequestID)
	case *network.EventWebSocketCreated:
		f.bytes[e.URL] += 0
	}
}

// settled is whether everything that was asked for has come.
func (f *traffic) settled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open) == 0
}

// weight is the sum of what was transferred, in bytes.
func (f *traffic) weight() (sum float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.bytes {
		sum += n
	}
	return sum
}

// foreign are the addresses that are not of host.
func (f *traffic) foreign(host string) (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for address := range f.bytes {
		if u, err := url.Parse(address); err != nil || u.Host != host && u.Scheme != "data" {
			all = append(all, address)
		}
	}
	return all
}

// call sends one command of the DevTools protocol.
func call[P, R any](b *tab, what string, command cdp.Command[P, R], params P) {
	b.t.Helper()
	ask(b, what, func(ctx context.Context, target *chromedp.Target) (R, error) {
		return cdp.Call(ctx, target, command, params)
	})
}

// look is a way to look at a page: a theme and a width.
type look struct {
	theme string // what the system prefers
	width int64  // in CSS pixels
}

func (l look) String() string {
	if l.width < 800 {
		return l.theme + "-narrow"
	}
	return l.theme + "-wide"
}

func (b *tab) lookAs(l look) {
	b.t.Helper()
	call(b, "prefer "+l.theme, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: l.theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	b.run(fmt.Sprintf("be %d wide", l.width), chromedp.EmulateViewport(l.width, 1000))
}

// tooWide is what of a page is wider than width: nothing scrolls sideways.
func (b *tab) tooWide(width int64) (wrong []string) {
	b.t.Helper()
	b.run(fmt.Sprintf("be %d wide", width), chromedp.EmulateViewport(width, 1000))
	for _, wide := range ask(b, "measure the width", chromedp.Evaluate[[]string](`(async () => {
		const page = document.scrollingElement;
		for (let frames = 0; page.scrollWidth > page.clientWidth && frames < 60; frames++) await new Promise(requestAnimationFrame); // what is drawn by a script follows
		if (page.scrollWidth <= page.clientWidth) return [];
		const past = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > page.clientWidth + 0.5 && getComputedStyle(e).position !== "fixed");
		return past.slice(-4).map((e) => e.tagName.toLowerCase() + "." + e.className + " ends at " + Math.round(e.getBoundingClientRect().right) + ": " + e.textContent.trim().slice(0, 60)).concat("the page is " + page.scrollWidth + " wide");
	})()`, chromedp.EvalAwaitPromise)) {
		wrong = append(wrong, fmt.Sprintf("at %d px it scrolls sideways: %s", width, wide))
	}
	return wrong
}

// violation is one rule that a page breaks, in axe's words.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// axe runs every rule up to WCAG 2.2 AA, the best practices and the
// experimental ones, and returns each violation, of whatever weight.
func (b *tab) axe(source string, as look) (wrong []string) {
	b.t.Helper()
	if !ask(b, "look for axe", chromedp.Evaluate[bool](`typeof axe === "object"`)) {
		b.run("load axe", chromedp.Evaluate[chromedp.Void](source+"\n;undefined"))
	}
	found := ask(b, "run axe", chromedp.Evaluate[[]violation](`axe.run(document, {
		runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice", "experimental"],
		resultTypes: ["violations"], preload: false, selectors: false,
	}).then((r) => r.violations.map((v) => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.map((n) => ({HTML: n.html, FailureSummary: n.failureSummary}))})))`, chromedp.EvalAwaitPromise))
	for _, v := range found {
		for i, n := range v.Nodes {
			if i == 3 {
				wrong = append(wrong, fmt.Sprintf("%s: %s: and %d more", as, v.ID, len(v.Nodes)-i))
				break
			}
			wrong = append(wrong, fmt.Sprintf("%s: %s (%s): %s\n\t%s\n\t%s", as, v.ID, v.Impact, v.Help, n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", " ")))
		}
	}
	return wrong
}

// picture saves the whole page below test-results/pages. It is packed fast, not
// small: packing was a quarter of what a look at a page took.
func (b *tab) picture(name string) {
	b.t.Helper()
	all, fast := true, true
	got := ask(b, "photograph "+name, func(ctx context.Context, target *chromedp.Target) (page.CaptureScreenshotResult, error) {
		return cdp.Call(ctx, target, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: &all, FromSurface: &all, OptimizeForSpeed: &fast})
	})
	dir := filepath.Join("..", "..", "test-results", "pages")
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), got.Data, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

const waitForPage = 10 * time.Second

// isStatus is whether the browser only says that a page was answered with an
// error's status.
func isStatus(text string) bool {
	return strings.Contains(text, "the server responded with a status of 4") || strings.Contains(text, "the server responded with a status of 5")
}
