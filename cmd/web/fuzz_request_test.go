package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
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
		"/sign-in/" + path, "/sign-in?next=" + query, "/static/" + path, "/calendar/" + path, "/unsubscribe/" + path,
		"/maintenances?from=" + query + "&history=" + query, "/maintenances/" + path, "/webhooks/" + path, "/blackouts/new?app=" + query,
		"/sign-in/provider/return?state=" + query + "&code=" + query + "&iss=" + query,
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
	sushi, err := db.AppByName(f.Context(), s.pool, "sushi")
	if err != nil {
		f.Fatal(err)
	}
	database := "/databases/" + dbtest.Database(f, s.pool, sushi.ID, 20931).Name
	if _, err := s.pool.Exec(f.Context(), `update sessions set proved_at = now() + interval '1 day'`); err != nil { // what is refused for want of a proof is read by nobody
		f.Fatal(err)
	}
	token, router := v.csrf(), s.router()
	// Each form that takes words, with the field that they are typed into.
	forms := [][2]string{
		{"/apps", "name"}, {"/databases", "app"}, {"/databases", "plan"}, {"/apps/sushi/config-vars", "name"}, {"/apps/sushi/formation", "process"},
		{"/apps/sushi/formation", "quantity"}, {"/settings/tokens", "token_name"}, {"/settings/tokens", "token_days"}, {"/apps/sushi/destroy", "confirm"},
		{"/apps/sushi/collaborators", "email"}, {"/apps/sushi/collaborators", "role"}, {"/settings/people", "email"}, {"/invitations/no-such-link", "person_name"},
		{database + "/window", "weekday"}, {database + "/window", "time"}, {database + "/followers", "plan"}, {database + "/followers", "zone"}, {database + "/followers", "app"},
		{database + "/attachments", "name"}, {database + "/attachments", "app"}, {database + "/attachments", "way"}, {database + "/promote", "app"}, {database + "/fence", "confirm"},
		{database + "/changeover", "plan"}, {database + "/changeover", "follower"}, {database + "/upgrade", "plan"}, {database + "/upgrade", "date"}, {database + "/upgrade", "required_by"},
		{"/blackouts", "from_date"}, {"/blackouts", "until_time"}, {"/blackouts", "reason"}, {"/blackouts", "app"}, {"/settings/webhooks", "url"}, {"/apps/sushi/webhooks", "send"},
		{"/settings/name", "person_name"}, {"/settings/email", "email"}, {"/settings/mail", "host"}, {"/settings/mail", "port"}, {"/settings/mail", "from"}, {"/settings/notices", "manage"},
		{"/settings/passkeys/new", "passkey_name"}, {"/settings/passkeys", "credential"}, {"/settings/authenticator", "code"}, {"/settings/reset-link", "email"}, {"/sign-in/second", "code"},
		{"/sign-in/forgotten", "email"},
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
			// The audit as CSV repeats what earlier inputs typed, as data: no browser
			// shows it as markup, since it is a file to keep and sniffing is off.
			isCSV := strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv")
			if isCSV && (w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment")) {
				t.Errorf("%s %s: a browser may show this CSV: headers %v", method, path, w.Header())
			}
			if !isCSV && strings.Contains(w.Body.String(), "<script>alert") {
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
			values := url.Values{"csrf_token": {token}, "app": {"sushi"}, "plan": {"no-such-plan"}, "value": {"x"}, "role": {"view"}, "weekday": {"1"}, "time": {"03:30"}, "date": {"2026-10-14"},
				"from_date": {"2026-10-14"}, "from_time": {"03:30"}, "until_date": {"2026-10-15"}, "until_time": {"03:30"}, "when": {"at"}, "host": {"127.0.0.1"}, "port": {"25"}, "from": {"x"}}
			if form[1] == "confirm" && strings.TrimSpace(text) == "sushi" || form[0] == "/settings/email" && strings.Contains(text, "@") {
				continue // would destroy it, or change who is signed in
			}
			if form[0] == "/blackouts" && form[1] == "from_date" {
				values.Del("from")
			}
			values.Set(form[1], text)
			ask(http.MethodPost, form[0], values.Encode())
		}
	})
}
