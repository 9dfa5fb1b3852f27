package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/engine/local"
	"changeover/internal/platform/mail"
	"changeover/internal/platform/webhook"

	"github.com/PuerkitoBio/goquery"
	"github.com/jackc/pgx/v5/pgxpool"
)

// site is the real router on a real control database, without runners: what is
// started stays started.
type site struct {
	*app
	url  string
	pool *pgxpool.Pool
	logs *logBuffer
}

// logBuffer keeps what the program logs.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newSite(t testing.TB, env map[string]string) *site {
	t.Helper()
	return newSiteOn(t, env, dbtest.New(t))
}

func newSiteOn(t testing.TB, env map[string]string, pool *pgxpool.Pool) *site {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	home := newHome(t)
	all := map[string]string{"CHANGEOVER_HOME": home, "CHANGEOVER_ADDR": listener.Addr().String()}
	for k, v := range env {
		all[k] = v
	}
	cfg, err := readConfig(func(k string) string { return all[k] }, false)
	if err != nil {
		t.Fatal(err)
	}
	logs := &logBuffer{}
	log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	engine, err := local.Open(local.Config{Home: home, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := db.LoadSealer(filepath.Join(home, "key"))
	if err != nil {
		t.Fatal(err)
	}
	catalogue, err := platform.ShippedCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	procedures, err := jobs.New(jobs.Config{Pool: pool, Engine: engine, Sealer: sealer, Catalogue: catalogue, Log: log, Mailer: &mail.Sender{Dialer: outgoingDialer(cfg)},
		Link: cfg.Link, Hooks: &webhook.Sender{Dialer: outgoingDialer(cfg)}, KeepNotices: cfg.KeepNotices})
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApp(cfg, log, pool, sealer, catalogue, engine, procedures, listener.Addr())
	if err != nil {
		t.Fatal(err)
	}
	a.passwords = cheapPasswords(t)
	server := &httptest.Server{Listener: listener, Config: a.server()}
	server.Start()
	t.Cleanup(func() {
		a.hub.close()
		server.CloseClientConnections()
		server.Close()
	})
	return &site{app: a, url: server.URL, pool: pool, logs: logs}
}

// newHome is a state directory that PostgreSQL's user can enter; t.TempDir's
// parent shuts everybody out.
func newHome(t testing.TB) string {
	t.Helper()
	home, err := os.MkdirTemp("", "changeover-web-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Chmod(home, 0o711); err != nil {
		t.Fatal(err)
	}
	return home
}

// visit is one browser: cookies, and the page it looks at.
type visit struct {
	t      testing.TB
	base   string // the program's address
	client *http.Client
	status int
	header http.Header
	path   string
	body   string
	page   *goquery.Document
}

func (s *site) visit(t testing.TB) *visit { t.Helper(); return newVisit(t, s.url) }

func newVisit(t testing.TB, base string) *visit {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visit{t: t, base: base, client: &http.Client{Jar: jar, Timeout: 30 * time.Second}}
}

const testPassword = "four unrelated words do"

// signedIn is a browser of a fresh administrator.
func (s *site) signedIn(t testing.TB, email string) *visit {
	t.Helper()
	return s.signedInAs(t, email, true)
}

// signedInAs is a browser of a fresh user.
func (s *site) signedInAs(t testing.TB, email string, isAdmin bool) *visit {
	t.Helper()
	user, err := db.CreateUser(t.Context(), s.pool, email, isAdmin)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := s.passwords.hash(t.Context(), testPassword)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SetPassword(t.Context(), s.pool, user.ID, hash); err != nil {
		t.Fatal(err)
	}
	v := s.visit(t)
	v.get("/sign-in")
	v.submit("/sign-in", "email", email, "password", testPassword)
	v.want(200, "/databases")
	return v
}

func (v *visit) do(r *http.Request) {
	v.t.Helper()
	answer, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.status, v.header, v.path, v.body = answer.StatusCode, answer.Header, answer.Request.URL.Path, string(body)
	if v.page, err = goquery.NewDocumentFromReader(strings.NewReader(v.body)); err != nil {
		v.t.Fatal(err)
	}
}

func (v *visit) get(path string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.base+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	v.do(r)
}

// submit sends the form of the page whose action is path, hidden fields and
// all, with the given fields typed in. Without JavaScript a browser does the same.
func (v *visit) submit(path string, fields ...string) {
	v.t.Helper()
	form := v.page.Find("form").FilterFunction(func(_ int, f *goquery.Selection) bool {
		action, ok := f.Attr("action")
		return ok && strings.SplitN(action, "?", 2)[0] == path && strings.EqualFold(f.AttrOr("method", "get"), "post")
	}).First()
	values := url.Values{}
	if form.Length() == 0 {
		// A button of the one empty form that serves every single act.
		button := v.page.Find("button[formaction='" + path + "']").First()
		if button.Length() == 0 {
			v.t.Fatalf("%s has no form or button for %s", v.path, path)
		}
		form = v.page.Find("form#" + button.AttrOr("form", ""))
		if name := button.AttrOr("name", ""); name != "" {
			values.Set(name, button.AttrOr("value", ""))
		}
	}
	form.Find("input, select, textarea").Each(func(_ int, in *goquery.Selection) {
		name, ok := in.Attr("name")
		kind := in.AttrOr("type", "text")
		_, checked := in.Attr("checked")
		if !ok || (kind == "checkbox" || kind == "radio") && !checked {
			return
		}
		value := in.AttrOr("value", "")
		switch goquery.NodeName(in) {
		case "select":
			value = in.Find("option[selected]").AttrOr("value", in.Find("option").First().AttrOr("value", ""))
		case "textarea":
			value = in.Text()
		}
		values.Set(name, value)
	})
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	v.post(path, values)
}

func (v *visit) post(path string, values url.Values) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.base+path, strings.NewReader(values.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	v.do(r)
}

// csrf is the token of the page's forms.
func (v *visit) csrf() string {
	v.t.Helper()
	token := v.page.Find("input[name=csrf_token]").First().AttrOr("value", "")
	if token == "" {
		v.t.Fatalf("%s has no CSRF token", v.path)
	}
	return token
}

func (v *visit) want(status int, path string) {
	v.t.Helper()
	if v.status != status || v.path != path {
		v.t.Fatalf("got %d at %s, want %d at %s\n%s", v.status, v.path, status, path, v.text())
	}
}

// text is what a person reads on the page, shortened.
func (v *visit) text() string {
	text := strings.Join(strings.Fields(v.page.Find("body").Text()), " ")
	return text[:min(len(text), 1500)]
}

func (v *visit) wantText(text string) {
	v.t.Helper()
	if all := strings.Join(strings.Fields(v.page.Find("body").Text()), " "); !strings.Contains(all, text) {
		v.t.Fatalf("%s does not say %q:\n%s", v.path, text, v.text())
	}
}

// cookie is the browser's cookie of that name.
func (v *visit) cookie(name string) string {
	u, err := url.Parse(v.base)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.client.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "changeover-"+name) {
			return c.Value
		}
	}
	return ""
}
