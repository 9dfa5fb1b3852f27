package main

import (
	"context"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// findBrowser is a Chrome or Chromium of this machine.
func findBrowser(t *testing.T) string {
	t.Helper()
	names := []string{
		os.Getenv("CHANGEOVER_TEST_BROWSER"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
		"headless-shell", "headless_shell", "/snap/bin/chromium",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium",
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("No Chrome or Chromium was found, so the browser journey was not run. Install one (Debian: apt-get install chromium), or name it in CHANGEOVER_TEST_BROWSER.")
	return ""
}

// tab is one tab of a real browser.
type tab struct {
	t    *testing.T
	ctx  context.Context
	url  string // of the program
	errs chan string
}

// newTab opens a browser that talks to nobody but the program.
func newTab(t *testing.T, url string) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(findBrowser(t)), chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1440, 1000))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // the sandbox refuses root
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, url: url, errs: make(chan string, 100)}
	// Without a limit: the browser lives as long as the context of its first run.
	err := chromedp.Do(ctx, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Berlin"})
		return chromedp.Void{}, err
	})
	if err != nil {
		t.Fatalf("open the browser: %v", err)
	}
	go b.listen(chromedp.Console(ctx))
	return b
}

// listen notes every complaint of the page: a script's exception, what the
// content policy refused, a file that was not there.
func (b *tab) listen(messages iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range messages {
		if err != nil {
			return
		}
		// A refused form is a 422, which a browser calls an error.
		refused := m.Source == "network" && strings.Contains(m.Text, "status of 422")
		if (m.Type == chromedp.ConsoleException || m.Type == chromedp.ConsoleError) && !refused {
			b.note(string(m.Type) + ": " + m.Text)
		}
	}
}

func (b *tab) note(text string) {
	select {
	case b.errs <- text:
	default:
	}
}

// run does steps, with a generous limit.
func (b *tab) run(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.fail(what, err)
	}
}

// ask is an action with an answer.
func ask[T any](b *tab, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	answer, err := chromedp.Run(ctx, action)
	if err != nil {
		b.fail(what, err)
	}
	return answer
}

// fail ends the test with what the page shows, and photographs it.
func (b *tab) fail(what string, err error) {
	b.t.Helper()
	b.photograph("failed-" + b.t.Name())
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	address, _ := chromedp.Run(ctx, chromedp.Location())
	text, _ := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("body")))
	for len(b.errs) > 0 {
		b.t.Logf("the page complained: %s", <-b.errs)
	}
	b.t.Fatalf("%s: %v\nat %s\n%s", what, err, address, text[:min(len(text), 2500)])
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.run("open "+path, chromedp.Navigate(b.url+path))
}

// id selects by data-testid.
func id(testID string) chromedp.CSS { return chromedp.CSS(`[data-testid="` + testID + `"]`) }

func (b *tab) see(testID string) {
	b.t.Helper()
	b.run("see "+testID, chromedp.WaitVisible(id(testID)))
}

func (b *tab) click(testID string) {
	b.t.Helper()
	b.run("click "+testID, chromedp.Click(id(testID)))
}

// fill replaces what stands in the field of that name.
func (b *tab) fill(name, text string) {
	b.t.Helper()
	field := chromedp.CSS(`main [name="` + name + `"]:not([type=hidden])`)
	b.run("fill "+name, chromedp.WaitVisible(field), chromedp.Clear(field), chromedp.SendKeys(field, text))
}

func (b *tab) text(testID string) string {
	b.t.Helper()
	return strings.Join(strings.Fields(ask(b, "read "+testID, chromedp.Text(id(testID)))), " ")
}

// await waits until the page, kept fresh by the live channel or replaced by
// the next one, makes js true.
func (b *tab) await(limit time.Duration, what, js string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		// In the middle of a navigation there is nobody to ask: asked again.
		if is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+js+")")); err == nil && is {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			b.fail(what, ctx.Err())
		}
	}
}

// awaitText waits until an element says text.
func (b *tab) awaitText(limit time.Duration, testID, text string) {
	b.t.Helper()
	b.await(limit, fmt.Sprintf("%s says %q", testID, text), fmt.Sprintf(`(document.querySelector(%q)?.innerText || "").replace(/\s+/g, " ").includes(%q)`, id(testID), text))
}

func (b *tab) path() string {
	b.t.Helper()
	return strings.TrimPrefix(ask(b, "read the address", chromedp.Location()), b.url)
}

func (b *tab) awaitPath(limit time.Duration, prefix string) {
	b.t.Helper()
	b.await(limit, "be at "+prefix, fmt.Sprintf(`location.pathname.startsWith(%q) && document.readyState === "complete"`, prefix))
}

// photograph saves the whole page as test-results/NAME.png.
func (b *tab) photograph(name string) {
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	dir := filepath.Join("..", "..", "test-results")
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name, "/", "-")+".png"), picture, 0o644)
	}
	if err != nil {
		b.t.Logf("no picture of %s: %v", name, err)
	}
}

// wantNoErrors fails when a script of the page threw or complained, which is
// also how a browser reports what the content policy refused.
func (b *tab) wantNoErrors() {
	b.t.Helper()
	for {
		select {
		case text := <-b.errs:
			b.t.Errorf("the page complained: %s", text)
		default:
			return
		}
	}
}
