package main

import (
	"fmt"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// key is a key as the DevTools protocol wants it.
type key struct {
	name, code, text string
	number           int64
}

func keyNamed(name string) key {
	return map[string]key{
		"Tab": {"Tab", "Tab", "", 9}, "Enter": {"Enter", "Enter", "\r", 13}, "Escape": {"Escape", "Escape", "", 27},
		"Space": {" ", "Space", " ", 32}, "/": {"/", "Slash", "/", 191}, "ArrowDown": {"ArrowDown", "ArrowDown", "", 40}, "ArrowUp": {"ArrowUp", "ArrowUp", "", 38},
	}[name]
}

// press presses one key, wherever the focus is. It goes down with its
// character as on a keyboard: what prevents the key, or takes it for a click,
// leaves no character for the element that has the focus next.
func (b *tab) press(name string) {
	b.t.Helper()
	k := keyNamed(name)
	down := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeKeyDown, Key: k.name, Code: k.code, Text: k.text, WindowsVirtualKeyCode: k.number}
	up := down
	up.Type, up.Text = input.DispatchKeyEventTypeKeyUp, ""
	call(b, "press "+name, input.DispatchKeyEvent, down)
	call(b, "let go of "+name, input.DispatchKeyEvent, up)
}

// typeIn types text, wherever the focus is.
func (b *tab) typeIn(text string) {
	b.t.Helper()
	b.run("type", chromedp.KeyEvent(text))
}

// noFocus is focusSeen's answer where the focus is on nothing.
const noFocus = "nothing has the focus"

// focusSeen says whether a person can see where the focus is: the element
// itself, its label or what stands for it has an outline, and nothing covers
// all of it. The answer is empty, or what is wrong.
const focusSeen = `(() => {
	const el = document.activeElement;
	if (!el || el === document.body) return "` + noFocus + `";
	const outlined = (e) => { const s = getComputedStyle(e); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 && !/^rgba\(.*, 0\)$/.test(s.outlineColor); };
	const shown = [el, el.closest("label"), el.closest(".option, .segment, .search, tr"), el.nextElementSibling].filter((e) => e && e.getClientRects().length);
	const mark = shown.find((e) => outlined(e) && e.getBoundingClientRect().width > 4);
	if (!mark) return "its focus cannot be seen";
	const r = mark.getBoundingClientRect();
	const points = [[.5, .5], [.1, .5], [.9, .5], [.5, .1], [.5, .9]].map(([x, y]) => [r.left + r.width * x, r.top + r.height * y]);
	const free = points.some(([x, y]) => { const at = document.elementFromPoint(x, y); return at && (mark.contains(at) || at.contains(mark)); });
	return free ? "" : "it is covered, or outside of the window";
})()`

// focusIs waits until the focus is on what the selector names, and holds it to
// being seen.
func (b *tab) focusIs(selector string) {
	b.t.Helper()
	b.await(waitForPage, "the focus is on "+selector, fmt.Sprintf(`Boolean(document.activeElement?.matches(%q))`, selector))
	b.focusShows()
}

func (b *tab) focusShows() {
	b.t.Helper()
	b.focusIsSeen(ask(b, "look at the focus", chromedp.Evaluate[string](focusSeen)))
}

// focusIsSeen reports what focusSeen found wrong.
func (b *tab) focusIsSeen(wrong string) {
	b.t.Helper()
	if wrong != "" {
		where := ask(b, "name the focus", chromedp.Evaluate[string](`document.activeElement?.outerHTML.slice(0, 200)`))
		b.t.Errorf("%s on %s: %s", wrong, b.path(), where)
	}
}

// tabTo presses Tab until the focus is on what the selector names. Wherever it
// stops on the way, a person must see it.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	const most = 150
	for range most {
		b.press("Tab")
		// Asked once: between two questions a live part may take its button away.
		wrong := ask(b, "look at the focus", chromedp.Evaluate[string](focusSeen))
		if wrong == noFocus {
			continue // past the last one, or it went; the next Tab goes on
		}
		b.focusIsSeen(wrong)
		if ask(b, "look at the focus", chromedp.Evaluate[bool](fmt.Sprintf(`Boolean(document.activeElement?.matches(%q))`, selector))) {
			return
		}
	}
	b.fail("tab to "+selector, fmt.Errorf("not reached with %d presses", most))
}
