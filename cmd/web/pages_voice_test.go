package main

import (
	"github.com/chromedp/chromedp"
)

// voices is what is wrong with how a page speaks up by itself. A state that
// changes is said politely, when the reader has come to an end; what ticks is
// never said; nothing interrupts but what was wrong with a form just sent. A live region inside of another one would be
// said twice, and one with a field or button of its own reads all of it out
// when a letter changes.
func (b *tab) voices() []string {
	b.t.Helper()
	return ask(b, "listen to the page", chromedp.Evaluate[[]string](`(() => {
		const wrong = [], name = (e) => e.outerHTML.slice(0, 160).replace(/\s+/g, " ");
		const spoken = (e) => {
			for (; e; e = e.parentElement) {
				const live = e.getAttribute("aria-live");
				if (live) return live;
				if (["status", "log"].includes(e.getAttribute("role")) || e.localName === "output") return "polite";
				if (e.getAttribute("role") === "alert") return "assertive";
				if (["timer", "marquee"].includes(e.getAttribute("role"))) return "off";
			}
			return "off";
		};
		for (const e of document.querySelectorAll("[aria-live], [role=status], [role=log], [role=alert], output")) {
			if (spoken(e) === "assertive" && !e.matches(".error-summary")) wrong.push("it interrupts whoever listens: " + name(e));
			if (spoken(e) !== "off" && e.querySelector("input, select, textarea")) wrong.push("a field stands in what is spoken: " + name(e));
		}
		for (const e of document.querySelectorAll("[data-clock-since], [data-ms-since], [data-elapsed-since], [data-live-text], progress, meter")) {
			if (spoken(e) !== "off") wrong.push("what ticks is spoken: " + name(e));
		}
		for (const e of document.querySelectorAll("[data-testid=operation-state], #reconnecting")) {
			if (spoken(e) !== "polite") wrong.push("a state that changes is not spoken: " + name(e));
		}
		return wrong;
	})()`))
}

// moves is what moves on a page although the reader asked for less motion.
func (b *tab) moves() []string {
	b.t.Helper()
	return ask(b, "look for motion", chromedp.Evaluate[[]string](`document.getAnimations().filter((a) => a.playState === "running").map((a) => "it moves although less motion is asked for: " + (a.animationName || a.transitionProperty) + " of " + a.effect.target?.outerHTML.slice(0, 120))`))
}
