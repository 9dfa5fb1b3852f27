package main

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// forceColors shows the page as a system with colours of its own does: what
// the page says of backgrounds, borders and text counts no longer.
func (b *tab) forceColors() {
	b.t.Helper()
	call(b, "force colours", emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "forced-colors", Value: "active"}, {Name: "prefers-color-scheme", Value: "dark"}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// lostColors is what can no longer be told apart when the colours of the page
// are taken away. The page is left with forced colours.
func (b *tab) lostColors() []string {
	b.t.Helper()
	b.forceColors()
	return ask(b, "look without colours", chromedp.Evaluate[[]string](`(() => {
		const wrong = [], name = (e) => e.outerHTML.slice(0, 160).replace(/\s+/g, " ");
		if (!matchMedia("(forced-colors: active)").matches) return ["the colours are not forced"];
		const shown = (e) => e.getClientRects().length && getComputedStyle(e).visibility === "visible" && getComputedStyle(e).clipPath === "none";
		const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
		const look = (e) => { const s = getComputedStyle(e); return [s.forcedColorAdjust === "none" ? s.backgroundColor : "", s.textDecorationLine, s.borderTopWidth, s.borderBottomColor, s.borderLeftWidth, s.outlineStyle, s.boxShadow].join(" "); };
		// What is current or chosen differs from what stands beside it.
		for (const e of all("nav a[aria-current], a.segment[aria-current], .segment:has(input:checked), a.mail[aria-current]")) {
			const group = e.closest(".segmented, .tabs, ul, ol, nav");
			const other = group && [...group.querySelectorAll("a, label")].find((o) => o !== e && o.className === e.className && shown(o) && !o.matches("[aria-current]") && !o.querySelector("input:checked"));
			if (other && look(other) === look(e)) wrong.push("what is chosen looks like the rest: " + name(e));
		}
		// A state has its word and its mark; a step its word.
		for (const e of all(".status")) {
			if (!e.textContent.trim()) wrong.push("a state without a word: " + name(e));
			if (!e.querySelector("svg")) wrong.push("a state without a mark: " + name(e));
		}
		for (const e of all(".step")) {
			if (!/, (done|running now|failed|not yet)|put back|kept/.test(e.querySelector(".step-title")?.textContent ?? "")) wrong.push("a step without its state: " + name(e));
		}
		// A line that is drawn as a background would be gone.
		for (const e of all(".step:not(:only-child), .edge")) {
			if (getComputedStyle(e, "::before").forcedColorAdjust !== "none") wrong.push("its line is gone: " + name(e));
		}
		// What can be pressed, filled in or read off has an edge.
		for (const e of all(".button, .search input, .field input:not([type=radio], [type=checkbox], [type=hidden]), .field select, .field textarea, meter, progress, .segmented")) {
			const s = getComputedStyle(e);
			if (s.borderTopStyle === "none" || parseFloat(s.borderTopWidth) < 1) wrong.push("it has no edge: " + name(e));
		}
		return wrong;
	})()`))
}

// TestFocusWithForcedColors goes through pages with the keyboard where the
// system's colours are forced. Each stop must be seen, and the page's own act
// be reached.
func TestFocusWithForcedColors(t *testing.T) {
	findBrowser(t)
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.listen(ctx)
	v := s.signedIn(t, pagesUser)
	b := newTab(t, s.url)
	d := seed(t, s)
	b.forceColors()
	b.open("/sign-in")
	b.tabTo("[data-testid=sign-in]")
	call(b, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: s.url})
	for _, stop := range []struct{ path, selector string }{
		{"/databases", "[data-testid=create-database], a.button.primary"},
		{databasePath(d.leader.Name) + "/change-plan", "main input[type=radio]"},
		{operationPath(d.waiting.ID), "[data-testid=cancel]"},
		{operationPath(d.undone.ID), "[data-testid=terminate-holder]"},
		{"/maintenances", "main .segmented a, main summary, main a.button"},
	} {
		b.open(stop.path)
		b.tabTo(stop.selector)
		b.picture("forced-colours" + strings.ReplaceAll(strings.TrimRight(stop.path, "0123456789-"), "/", "-"))
	}
	b.wantNoErrors()
}

// Where motion is wanted there is some, so that its absence elsewhere says something.
func TestMotionIsOnlyWhereWanted(t *testing.T) {
	findBrowser(t)
	s := newSite(t, nil)
	v := s.signedIn(t, pagesUser)
	b := newTab(t, s.url)
	d := seed(t, s)
	call(b, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: s.url})
	for _, prefers := range []string{"no-preference", "reduce"} {
		call(b, "prefer "+prefers, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: prefers}}})
		b.open(operationPath(d.running.ID))
		if moving := b.moves(); (len(moving) > 0) != (prefers == "no-preference") {
			t.Errorf("%s: %q", prefers, moving)
		}
	}
}
