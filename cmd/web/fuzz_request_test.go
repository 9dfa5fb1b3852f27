package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// typedInto are the places of the program into which people type: paths with
// something of theirs in them, and queries.
func typedInto(text string) []string {
	path, query := url.PathEscape(text), url.QueryEscape(text)
	return []string{
		"/databases?q=" + query, "/databases?filter=" + query, "/search?q=" + query, "/audit?q=" + query + "&before=" + query,
		"/databases/" + path, "/databases/" + path + "/change-plan", "/apps/" + path, "/apps/" + path + "/config-vars",
		"/operations/" + path, "/notices/" + path, "/notices?before=" + query + "&filter=" + query, "/databases/new?app=" + query,
		"/audit?app=" + query + "&database=" + query + "&person=" + query + "&act=" + query, "/audit?from=" + query, "/audit?until=" + query + "&outcome=" + query,
		"/audit.csv?database=" + query + "&app=" + query, "/invitations/" + path, "/settings/people/" + path, "/settings/reset-link?email=" + query,
		"/sign-in/" + path, "/sign-in?next=" + query, "/static/" + path,
	}
}

// FuzzRequests: nothing that is typed into an address or a form is a fault of
// the program, none of it stands on a page as markup, and every answer has its
// headers. The control database is a real one.
func FuzzRequests(f *testing.F) {
	for _, s := range []string{
		"sushi", "", "\x00", "\xff", "%", "_", `\`, "'", `"><script>alert(1)</script>`, "../..", "9223372036854775807", "9223372036854775808", "-1",
		strings.Repeat("x", 3000), "a\nb", "postgresql-shaped-12345", "\u202e", "🍣",
	} {
		f.Add(s)
	}
	s := newSite(f, nil)
	v := s.signedIn(f, "someone@example.com")
	v.get("/apps")
	v.post("/apps", url.Values{"name": {"sushi"}, "csrf_token": {v.csrf()}})
	token, router := v.csrf(), s.router()
	// Each form that takes words, with the field that they are typed into.
	forms := [][2]string{
		{"/apps", "name"}, {"/databases", "app"}, {"/databases", "plan"}, {"/apps/sushi/config-vars", "name"}, {"/apps/sushi/formation", "process"},
		{"/apps/sushi/formation", "quantity"}, {"/settings/tokens", "name"}, {"/apps/sushi/destroy", "confirm"},
		{"/apps/sushi/collaborators", "email"}, {"/apps/sushi/collaborators", "role"}, {"/settings/people", "email"}, {"/invitations/no-such-link", "person_name"},
	}
	f.Fuzz(func(t *testing.T, text string) {
		ask := func(method, path, body string) {
			r := httptest.NewRequest(method, "/", strings.NewReader(body))
			u, err := url.Parse(s.url + path)
			if err != nil {
				t.Fatal(err)
			}
			r.URL, r.RequestURI, r.Host = u, path, u.Host
			r.AddCookie(&http.Cookie{Name: "changeover-" + sessionCookie, Value: v.cookie(sessionCookie)})
			if method == http.MethodPost {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			w := httptest.NewRecorder()
			router.ServeHTTP(w, r)
			if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
				t.Errorf("%s %s %q: %d", method, path, body, w.Code)
			}
			if strings.Contains(w.Body.String(), "<script>alert") {
				t.Errorf("%s %s %q: what was typed is markup", method, path, body)
			}
			if w.Header().Get("Content-Security-Policy") == "" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s %s: headers %v", method, path, w.Header())
			}
		}
		for _, path := range typedInto(text) {
			ask(http.MethodGet, path, "")
		}
		for _, form := range forms {
			values := url.Values{"csrf_token": {token}, "app": {"sushi"}, "plan": {"no-such-plan"}, "value": {"x"}, "role": {"view"}}
			if form[1] == "confirm" && strings.TrimSpace(text) == "sushi" {
				continue // would destroy it
			}
			values.Set(form[1], text)
			ask(http.MethodPost, form[0], values.Encode())
		}
	})
}
