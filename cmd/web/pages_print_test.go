package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// TestOperationPrints prints operations' pages as incident reports: all that
// happened is on the paper, in ink on white whatever the screen shows, and
// nothing that can only be pressed.
func TestOperationPrints(t *testing.T) {
	findBrowser(t)
	s := newSite(t, nil)
	v := s.signedIn(t, pagesUser)
	b := newTab(t, s.url)
	d := seed(t, s)
	call(b, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: s.url})
	for _, report := range []struct {
		name, path string
		says       []string
	}{
		{"done", operationPath(d.completed.ID), []string{
			"Operation " + fmt.Sprint(d.completed.ID) + " of " + d.fenced.Name, "Completed", "142", "Lost commits", "3A/F2006CA0", "Fence the old leader", "Point of no return", "Prove that nothing is missing",
			"Requested by", pagesUser, "Where things stand",
		}},
		{"undone", operationPath(d.undone.ID), []string{"The deadline of 30 s passed", "30,071", "What to do", "Wait until 0 commits behind", "put back", "Steps 16 to 24 did not run"}},
	} {
		t.Run(report.name, func(t *testing.T) {
			b := *b
			b.t = t
			call(&b, "print", emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
			b.run("be as wide as paper", chromedp.EmulateViewport(720, 1000))
			b.open(report.path)
			text := strings.Join(strings.Fields(ask(&b, "read the report", chromedp.Evaluate[string](`document.body.innerText`))), " ")
			for _, want := range report.says {
				if !strings.Contains(text, want) {
					t.Errorf("the report does not say %q:\n%s", want, text)
				}
			}
			for _, wrong := range ask(&b, "look at the report", chromedp.Evaluate[[]string](printFaults)) {
				t.Error(wrong)
			}
			got := ask(&b, "print", func(ctx context.Context, target *chromedp.Target) (page.PrintToPDFResult, error) {
				return cdp.Call(ctx, target, page.PrintToPDF, page.PrintToPDFParams{})
			})
			if pages := bytes.Count(got.Data, []byte("/Type /Page\n")); !bytes.HasPrefix(got.Data, []byte("%PDF-")) || pages < 1 || pages > 3 {
				t.Errorf("the report has %d pages; 1 to 3 are meant", pages)
			}
			b.picture("print-" + report.name)
			if err := os.WriteFile(filepath.Join("..", "..", "test-results", "pages", "print-"+report.name+".pdf"), got.Data, 0o644); err != nil {
				t.Error(err)
			}
			b.wantNoErrors()
		})
	}
}

// printFaults is what does not belong on paper, or does not fit on it.
const printFaults = `(() => {
	const wrong = [], shown = (e) => e.getClientRects().length && getComputedStyle(e).visibility === "visible" && getComputedStyle(e).clipPath === "none";
	for (const e of document.querySelectorAll("button, input, select, .rail, .top, .skip, .button")) if (shown(e)) wrong.push("it is of no use on paper: " + e.outerHTML.slice(0, 120));
	if (getComputedStyle(document.documentElement).backgroundColor !== "rgb(255, 255, 255)") wrong.push("the paper is not white: " + getComputedStyle(document.documentElement).backgroundColor);
	for (const e of document.querySelectorAll("main p, main dd, main h1, main h2, main li")) {
		if (!shown(e)) continue;
		const [r, g, b] = getComputedStyle(e).color.match(/\d+/g).map(Number);
		if (r > 200 && g > 200 && b > 200) wrong.push("light ink on white paper: " + e.outerHTML.slice(0, 120));
	}
	if (document.scrollingElement.scrollWidth > document.scrollingElement.clientWidth) wrong.push("it is wider than the paper");
	return wrong;
})()`
