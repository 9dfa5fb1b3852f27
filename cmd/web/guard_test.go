package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

func TestWrongHostIsRefused(t *testing.T) {
	s := newSite(t, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/sign-in", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example"
	v := s.visit(t)
	v.do(r)
	if v.status != http.StatusMisdirectedRequest || strings.Contains(v.body, "<form") {
		t.Errorf("%d: %s", v.status, v.body)
	}
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	s := newSite(t, nil)
	v := s.visit(t)
	for _, path := range []string{"/sign-in", "/no/such/page", "/healthz", "/databases"} {
		v.get(path)
		for name, want := range map[string]string{
			"Content-Security-Policy": contentPolicy, "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
			"Referrer-Policy": "same-origin",
		} {
			if got := v.header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if v.header.Get("Permissions-Policy") == "" || v.header.Get("X-Request-Id") == "" {
			t.Errorf("%s lacks a header: %v", path, v.header)
		}
		if v.header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s has HSTS without https", path)
		}
	}
}

func TestCookiesUnderHTTPS(t *testing.T) {
	s := newSite(t, map[string]string{"CHANGEOVER_URL": "https://db.example.com"})
	v := s.visit(t)
	v.get("/sign-in") // asked directly on the loopback address, past the proxy
	if v.header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS under https")
	}
	cookie := v.header.Get("Set-Cookie")
	for _, part := range []string{"__Host-changeover-form=", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie lacks %s: %s", part, cookie)
		}
	}
	if strings.Contains(cookie, "Domain=") {
		t.Errorf("the cookie has a domain: %s", cookie)
	}
}

func TestFormsNeedTheirToken(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "someone@example.com")
	other := s.signedIn(t, "other@example.com")
	other.get("/apps")
	for what, token := range map[string]string{"none": "", "a wrong one": "x", "somebody else's": other.csrf()} {
		v.post("/apps", url.Values{"name": {"sushi"}, "csrf_token": {token}})
		if v.status != http.StatusForbidden {
			t.Errorf("%s: %d", what, v.status)
		}
	}
	v.get("/apps")
	token := v.csrf()

	// The right token from another site's page is refused all the same.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/apps", strings.NewReader(url.Values{"name": {"sushi"}, "csrf_token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", echo.MIMEApplicationForm)
	r.Header.Set("Origin", "https://evil.example")
	v.do(r)
	if v.status != http.StatusForbidden {
		t.Errorf("another Origin: %d", v.status)
	}
	if apps, err := db.ListApps(t.Context(), s.pool, platform.Everything()); err != nil || len(apps) != 0 {
		t.Errorf("an app was made: %v %v", apps, err)
	}

	v.post("/apps", url.Values{"name": {"sushi"}, "csrf_token": {token}})
	v.want(200, "/apps/sushi")

	// Before signing in the form is tied to a cookie of its own.
	stranger := s.visit(t)
	stranger.post("/sign-in", url.Values{"email": {"someone@example.com"}, "password": {testPassword}})
	if stranger.status != http.StatusForbidden {
		t.Errorf("signed in without a form token: %d", stranger.status)
	}
}

func TestBodyIsLimited(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "someone@example.com")
	v.get("/apps")
	v.post("/apps", url.Values{"csrf_token": {v.csrf()}, "name": {strings.Repeat("x", mostBody+1)}})
	if v.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of more than 1 MB: %d", v.status)
	}
}

func TestPanicIsAPage(t *testing.T) {
	s := newSite(t, nil)
	e := s.router()
	e.GET("/panics", func(echo.Context) error { panic("the secret hunter2 of a stranger") })
	e.GET("/fails", func(echo.Context) error { return fmt.Errorf("dial postgres://u:hunter2@h: refused") })
	server := &http.Server{Handler: e, ReadHeaderTimeout: time.Second}
	for _, path := range []string{"/panics", "/fails"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		server.Handler.ServeHTTP(w, r)
		if w.Code != 500 || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%s: %d\n%s", path, w.Code, w.Body)
		}
		id := w.Header().Get("X-Request-Id")
		if id == "" || !strings.Contains(w.Body.String(), id) || !strings.Contains(s.logs.String(), id) {
			t.Errorf("%s: the reference %q is not on the page and in the log", path, id)
		}
	}
}

func TestEveryChangeIsAudited(t *testing.T) {
	s := newSite(t, nil)
	for _, r := range s.routes() {
		if (r.audit == "") == (r.noAudit == "") {
			t.Errorf("%s %s has neither an audit action nor a reason for none, or both", r.method, r.path)
		}
		if r.method == post && r.noAudit == reads {
			t.Errorf("POST %s says that it only reads", r.path)
		}
	}
	v := s.signedIn(t, "someone@example.com")
	v.get("/apps")
	v.submit("/apps", "name", "sushi")
	v.get("/apps")
	v.submit("/apps", "name", "Sushi Bar")
	v.want(422, "/apps")
	entries, err := db.ListAudit(t.Context(), s.pool, "", platform.Everything(), db.AuditFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%s %s %s %s", e.Actor, e.Action, e.Subject, e.Outcome))
	}
	want := "someone@example.com create app  refused|someone@example.com create app sushi done|someone@example.com sign in  done"
	if strings.Join(got, "|") != want {
		t.Errorf("audit rows:\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}

func TestDoubleClickActsOnce(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "someone@example.com")
	v.get("/databases/new")
	form := url.Values{"csrf_token": {v.csrf()}, "app": {"sushi"}, "plan": {"standard-0"}}
	paths := make(chan string, 2)
	for range 2 {
		go func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/databases", strings.NewReader(form.Encode()))
			if err != nil {
				paths <- err.Error()
				return
			}
			r.Header.Set("Content-Type", echo.MIMEApplicationForm)
			answer, err := v.client.Do(r)
			if err != nil {
				paths <- err.Error()
				return
			}
			_ = answer.Body.Close()
			paths <- answer.Request.URL.Path
		}()
	}
	first, second := <-paths, <-paths
	if first != second || !strings.HasPrefix(first, "/databases/postgresql-") {
		t.Errorf("a double click went to %s and %s", first, second)
	}
	if list, err := db.ListDatabases(t.Context(), s.pool, platform.Everything(), db.DatabaseFilter{}); err != nil || len(list) != 1 {
		t.Errorf("%d databases were made (%v)", len(list), err)
	}
}

func TestWithoutTheControlDatabase(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "someone@example.com")
	s.pool.Close()
	v.get("/databases")
	if v.status != http.StatusServiceUnavailable || v.header.Get("Retry-After") == "" {
		t.Errorf("status %d, header %v", v.status, v.header)
	}
	v.wantText("control database")
	if strings.Contains(v.body, "closed pool") {
		t.Error("the page shows the driver's words")
	}
	v.get("/healthz")
	v.want(200, "/healthz")
	v.get("/readyz")
	v.want(503, "/readyz")
}
