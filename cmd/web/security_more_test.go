package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
)

// More tests of rows of docs/security.md that no other test shows.

// A program that asks without encryption is answered where it asked: a redirect
// would only hide that its token went over the line in the open.
func TestProgramsAreNotRedirected(t *testing.T) {
	s := newSite(t, map[string]string{"CHANGEOVER_URL": "https://db.example.com"})
	router := s.router()
	for _, authorization := range []string{"Bearer no-such-token", "Basic eDp5"} {
		for _, path := range []string{"/", "/databases", "/apps", "/no/such/page"} {
			r := httptest.NewRequest(get, path, nil)
			r.Host = "db.example.com"
			r.Header.Set("Authorization", authorization)
			w := httptest.NewRecorder()
			router.ServeHTTP(w, r)
			if w.Code < 400 || w.Header().Get("Location") != "" {
				t.Errorf("%s: %d, to %q", path, w.Code, w.Header().Get("Location"))
			}
		}
	}
}

func TestLiveIsAsEncryptedAsItsPage(t *testing.T) {
	text, err := os.ReadFile("../../static/live.js")
	if err != nil {
		t.Fatal(err)
	}
	const opens = "new WebSocket(`${location.protocol === \"https:\" ? \"wss\" : \"ws\"}://${location.host}/live`)"
	if strings.Count(string(text), "new WebSocket(") != 1 || !strings.Contains(string(text), opens) {
		t.Error("a socket is opened in another way than to the page's own host, as encrypted as the page")
	}
}

// Whatever is asked for, a file that is downloaded has a name of the program's.
func TestDownloadsHaveFixedNames(t *testing.T) {
	e := newEstate(t)
	for _, r := range e.routes() {
		if r.method != get {
			continue
		}
		e.ask(t, theAdmin, get, e.path(r.path)+"?q=..%2Fevil%22%0d%0aX-Forged:%201&app=%22%3Bfilename%3Devil", nil)
		v := e.visits[theAdmin]
		disposition := v.header.Get("Content-Disposition")
		if strings.Contains(disposition, "evil") || v.header.Get("X-Forged") != "" {
			t.Errorf("%s: %q", r.path, disposition)
		}
		if attached := strings.HasPrefix(disposition, "attachment; filename=\"audit-"); attached != (r.path == "/audit.csv") {
			t.Errorf("%s: %q", r.path, disposition)
		}
	}
}

// The provider is the one in the settings: neither its description nor its answer
// may be of another.
func TestProviderIsTheOneThatIsSet(t *testing.T) {
	p := newTestProvider(t)
	settings := p.settings()
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := http.Get(p.URL + r.URL.Path)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		w.Header().Set("Content-Type", "application/json")
		_ = answer.Write(w)
	}))
	defer liar.Close()
	settings["CHANGEOVER_OIDC_ISSUER"] = liar.URL
	settings["CHANGEOVER_OUTGOING_ALLOW"] += "," + strings.TrimPrefix(liar.URL, "http://")
	s := newSite(t, settings)
	v := s.throughProvider(t)
	v.want(http.StatusServiceUnavailable, "/sign-in/provider")

	s = newSite(t, p.settings())
	v = s.visit(t)
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	v.get("/sign-in/provider")
	answer, err := v.client.Get(v.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	back, err := url.Parse(answer.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := back.Query()
	q.Set("iss", "https://another.example")
	v.get(back.Path + "?" + q.Encode())
	if v.status != http.StatusForbidden || v.cookie(sessionCookie) != "" {
		t.Errorf("an answer that says to be another's: %d", v.status)
	}
	v.wantText("came from another identity provider")
}

// What somebody sends begins no line of the log.
func TestLinesAreNotForged(t *testing.T) {
	s := newSite(t, nil)
	v := s.visit(t)
	const forged = "time=2026-01-01 level=INFO msg=forged"
	for _, path := range []string{"/databases/x%0a" + url.PathEscape(forged), "/?q=%0a" + url.QueryEscape(forged), "/sign-in/%0d%0a" + url.PathEscape(forged)} {
		v.get(path)
	}
	v.get("/sign-in")
	v.submit("/sign-in", "email", "x\n"+forged, "password", "y\n"+forged)
	r, err := http.NewRequestWithContext(t.Context(), get, s.url+"/sign-in", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "x\t"+forged)
	r.Header.Set("X-Forwarded-For", forged)
	v.do(r)
	for line := range strings.Lines(s.logs.String()) {
		if strings.HasPrefix(line, forged) || !strings.HasPrefix(line, "time=") {
			t.Errorf("a forged line: %q", line)
		}
	}
	if s.logs.String() == "" {
		t.Error("nothing is logged; the test looks in the wrong place")
	}
}
