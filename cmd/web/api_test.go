package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"changeover/internal/db"

	"github.com/labstack/echo/v4"
)

// apiRequest is a request of a program.
func apiRequest(t testing.TB, s *site, method, path, token, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	} else {
		r.Header.Set("Content-Type", echo.MIMEApplicationForm)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Header.Get("Set-Cookie") != "" {
		t.Errorf("%s %s: an API answer sets a cookie", method, path)
	}
	return answer.StatusCode, string(text)
}

func (s *site) token(t testing.TB) string {
	t.Helper()
	user, err := db.CreateUser(t.Context(), s.pool, "program@example.com", true)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := db.CreateAPIToken(t.Context(), s.pool, user.ID, "a test", 0)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAPI(t *testing.T) {
	s := newSite(t, nil)
	token := s.token(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		contains           string
	}{
		{"GET", "/databases", "", 200, "[]"},
		{"POST", "/apps", `{"name":"sushi"}`, 201, `"sushi"`},
		{"POST", "/apps", "name=bento", 201, `"bento"`},
		{"POST", "/apps", "name=sushi", 409, `"field":"name"`},
		{"POST", "/apps", "name=Sushi+Bar", 422, `"error":`},
		{"POST", "/apps", `{1`, 422, `JSON object`},
		{"POST", "/apps/sushi/config-vars", `{"name":"LOG_LEVEL","value":"debug"}`, 201, `"release":2`},
		{"GET", "/apps/sushi/config-vars", "", 200, `"LOG_LEVEL":"debug"`},
		{"POST", "/apps/sushi/maintenance", `{"on":true}`, 200, `"maintenance":true`},
		{"POST", "/apps/sushi/formation", `{"process":"web","quantity":3}`, 200, `"web":3`},
		{"POST", "/databases", `{"app":"sushi","plan":"standard-1"}`, 422, `"field":"plan"`},
		{"POST", "/databases", `{"app":"sushi","plan":"standard-0"}`, 202, `"operation":`},
		{"GET", "/operations/1", "", 200, `"kind":"create_database"`},
		{"GET", "/operations/99", "", 404, `"error":"There is no operation 99."`},
		{"GET", "/databases/nope", "", 404, `"error":`},
		{"GET", "/nowhere", "", 404, `"error":`},
		{"GET", "/notices", "", 200, "["},
		{"GET", "/audit", "", 200, `"create app"`},
	} {
		status, body := apiRequest(t, s, c.method, c.path, token, c.body)
		if status != c.status || !strings.Contains(body, c.contains) {
			t.Errorf("%s %s %s: %d %s, want %d with %s", c.method, c.path, c.body, status, body, c.status, c.contains)
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("%s %s: not JSON: %s", c.method, c.path, body)
		}
	}
	if status, body := apiRequest(t, s, "GET", "/metrics", token, ""); status != 200 || !strings.Contains(body, `changeover_databases{state="creating"} 1`) {
		t.Errorf("metrics: %d %s", status, body)
	}
	for _, wrong := range []string{"", "x", token + "x"} {
		if status, _ := apiRequest(t, s, "GET", "/databases", wrong, ""); status != 401 {
			t.Errorf("token %q: %d", wrong, status)
		}
	}
}

func TestAuthorizationAndCookieTogether(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "someone@example.com")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/databases", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer not a token")
	v.do(r)
	if v.status != http.StatusUnauthorized {
		t.Errorf("a good cookie beside a bad token: %d", v.status)
	}
}
