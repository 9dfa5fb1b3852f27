package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// browser is one tab of a real browser.
type browser struct {
	ctx   context.Context
	url   string
	close func()
}

func openBrowser(ctx context.Context, url string) (*browser, error) {
	path := ""
	for _, name := range []string{os.Getenv("CHANGEOVER_TEST_BROWSER"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"} {
		if found, err := exec.LookPath(name); name != "" && err == nil {
			path = found
			break
		}
	}
	if path == "" {
		return nil, errors.New("no Chrome or Chromium was found; install one, or name it in CHANGEOVER_TEST_BROWSER")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.Flag("disable-background-networking", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // the sandbox refuses root
	}
	ctx, endBrowser := chromedp.NewExecAllocator(ctx, options...)
	ctx, endTab := chromedp.NewContext(ctx)
	b := &browser{ctx: ctx, url: url, close: func() { endTab(); endBrowser() }}
	return b, b.do(call(emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Berlin"}))
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) error {
	return chromedp.Do(b.ctx, steps...)
}

// call is one command of the DevTools protocol.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, command, params)
		return chromedp.Void{}, err
	}
}

// signIn opens the link. The first person chooses a password there.
func (b *browser) signIn(link string) error {
	const password = "a sentence for the pictures"
	button := chromedp.CSS(`[data-testid="sign-in"]`)
	if err := b.do(chromedp.Navigate(link), chromedp.WaitVisible(button)); err != nil {
		return err
	}
	asks, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`Boolean(document.querySelector("[name=password]"))`))
	if err != nil {
		return err
	}
	if asks {
		if err := b.do(chromedp.SendKeys(chromedp.CSS(`[name="password"]`), password), chromedp.SendKeys(chromedp.CSS(`[name="password_again"]`), password)); err != nil {
			return err
		}
	}
	return b.do(chromedp.Click(button), chromedp.WaitVisible(chromedp.CSS(".rail")))
}

// photograph opens a page and waits until it is live and its plot is drawn.
func (b *browser) photograph(s shot, theme string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	err := chromedp.Do(ctx,
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}),
		chromedp.EmulateViewport(s.width, cmp.Or(s.height, 1000), chromedp.EmulateScale(1.5)), chromedp.Navigate(b.url+s.path))
	if err != nil {
		return nil, err
	}
	for ready := false; !ready; {
		if ready, err = chromedp.Run(ctx, chromedp.Evaluate[bool](`document.readyState === "complete" && document.querySelector("[data-live]")?.dataset.live !== "off" && (!document.getElementById("lag-figure") || Boolean(document.querySelector("#lag-figure .uplot")))`)); err != nil {
			return nil, err
		}
		select {
		case <-time.After(500 * time.Millisecond): // and then once more: what came by the socket is drawn
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	whole := s.height == 0
	return chromedp.Run(ctx, func(ctx context.Context, target *chromedp.Target) ([]byte, error) {
		got, err := cdp.Call(ctx, target, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: &whole})
		return got.Data, err
	})
}
