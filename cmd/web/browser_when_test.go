package main

import (
	"fmt"

	"github.com/chromedp/chromedp"
)

// whenStaysChosen chooses each time at which an upgrade may switch, on Change
// plan: a time that is typed means "at another time", and what is chosen after
// it stays. It leaves the next window chosen, as it was.
func (b *tab) whenStaysChosen() {
	b.t.Helper()
	chosen := func(want string) {
		b.t.Helper()
		if got := ask(b, "read the choice", chromedp.Evaluate[string](`document.querySelector("input[name=when]:checked").value`)); got != want {
			b.t.Errorf("%q is chosen, want %q", got, want)
		}
	}
	typed := func(field, value string) {
		b.t.Helper()
		b.run("type "+field, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{ const e = document.querySelector("main [name=%s]"); e.value = %q; e.dispatchEvent(new Event("input", {bubbles: true})); } undefined`, field, value)))
	}
	for _, choice := range []string{"ready", "at", "window", "ready"} {
		b.click("when-" + choice)
		chosen(choice)
	}
	typed("required_by", "2030-01-01")
	chosen("ready")
	typed("required_by", "")
	typed("time", "03:30")
	chosen("at")
	b.click("when-window")
	chosen("window")
}
