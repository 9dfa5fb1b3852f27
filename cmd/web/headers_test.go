package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestHeadersOfEveryRoute asks every route as each visitor and looks at what
// the answer tells the browser: nothing inline, no frame around it, no guessing
// of types, no page in a cache, no cookie that a script or another site gets.
func TestHeadersOfEveryRoute(t *testing.T) {
	e := newEstate(t)
	for _, part := range []string{"unsafe-inline", "unsafe-eval", "*", "http:", "https:"} {
		if strings.Contains(contentPolicy, part) {
			t.Errorf("the policy allows %s", part)
		}
	}
	for _, part := range []string{"default-src 'self'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'", "form-action 'self'"} {
		if !strings.Contains(contentPolicy, part) {
			t.Errorf("the policy lacks %s", part)
		}
	}
	// Whoever keeps these gives nobody anything of another's.
	cacheable := map[string]bool{"/static/*": true, feedPath + ":token": true}
	for _, r := range e.routes() {
		if r.path == "/sign-out" {
			continue // it ends the session that the others need
		}
		for _, who := range []int{nobody, stranger, theAdmin, theToken} {
			e.ask(t, who, r.method, e.path(r.path), nil)
			v := e.visits[who]
			at := r.method + " " + r.path + ", " + visitorNames[who]
			for name, want := range map[string]string{
				"Content-Security-Policy": contentPolicy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if all := v.header.Values(name); len(all) != 1 || all[0] != want {
					t.Errorf("%s: %s is %q", at, name, all)
				}
			}
			if name := "Access-Control-Allow-Origin"; v.header.Get(name) != "" || v.header.Get("Server") != "" || v.header.Get("X-Powered-By") != "" {
				t.Errorf("%s: it says too much: %v", at, v.header)
			}
			html := strings.HasPrefix(v.header.Get("Content-Type"), "text/html")
			if v.body != "" && v.header.Get("Content-Type") == "" {
				t.Errorf("%s: no type", at)
			}
			if !cacheable[r.path] && v.status < 300 && v.body != "" && !strings.Contains(v.header.Get("Cache-Control"), "no-store") {
				t.Errorf("%s: %d with Cache-Control %q", at, v.status, v.header.Get("Cache-Control"))
			}
			for _, line := range v.header.Values("Set-Cookie") {
				if c, err := http.ParseSetCookie(line); err != nil || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
					t.Errorf("%s: %s", at, line)
				}
			}
			if !html {
				continue
			}
			// What the policy would refuse anyway must not stand there.
			if n := v.page.Find("[style], style, script:not([src]), [onclick], [onload], [onerror], [onsubmit], [onchange]").Length(); n > 0 {
				t.Errorf("%s: %d inline styles or scripts", at, n)
			}
			if n := v.page.Find(`form[action^="http"], form[action^="//"], script[src^="http"], link[href^="http"], img[src^="http"], iframe, object, embed`).Length(); n > 0 {
				t.Errorf("%s: %d parts of other sites", at, n)
			}
		}
	}
}
