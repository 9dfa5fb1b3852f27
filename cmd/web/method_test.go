package main

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// What a form holds is its body, and of a field that was sent twice the last:
// a link cannot add to what somebody sends.
func TestFormIsItsBodyAlone(t *testing.T) {
	for kind, body := range map[string]string{
		echo.MIMEApplicationForm:             "name=ramen&name=sushi&plan=standard-0",
		"multipart/form-data; boundary=edge": "--edge\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nramen\r\n--edge\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nsushi\r\n--edge\r\nContent-Disposition: form-data; name=\"plan\"\r\n\r\nstandard-0\r\n--edge--\r\n",
	} {
		r := httptest.NewRequest(post, "/apps?name=evil&app=evil", strings.NewReader(body))
		r.Header.Set(echo.HeaderContentType, kind)
		c := echo.New().NewContext(r, httptest.NewRecorder())
		input, err := readInput(c)
		if err != nil || len(input) != 2 || input["name"] != "sushi" || input["plan"] != "standard-0" {
			t.Errorf("%s is read as %v (%v)", kind, input, err)
		}
		if got := c.FormValue("name") + c.FormValue("app"); got != "sushi" {
			t.Errorf("%s: a handler that asks the request gets %q", kind, got)
		}
	}
}

// No method but those of the table does anything, and none sends back what it
// was sent.
func TestOtherMethodsAreRefused(t *testing.T) {
	e := newEstate(t)
	known := map[string][]string{}
	for _, r := range e.routes() {
		known[e.path(r.path)] = append(known[e.path(r.path)], r.method)
	}
	for path, methods := range known {
		for _, method := range []string{http.MethodTrace, http.MethodOptions, http.MethodPut, http.MethodPatch, http.MethodDelete, post} {
			if slices.Contains(methods, method) {
				continue
			}
			r, err := http.NewRequestWithContext(t.Context(), method, e.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+e.token)
			r.Header.Set("X-Planted", "do-not-repeat-me")
			v := e.visits[theToken]
			v.do(r)
			asked := method == http.MethodOptions && v.status == http.StatusNoContent && v.body == "" // which methods there are
			if v.status != http.StatusMethodNotAllowed && v.status != http.StatusNotFound && !asked {
				t.Errorf("%s %s: %d", method, path, v.status)
			}
			if strings.Contains(v.body, "do-not-repeat-me") || strings.Contains(v.body, e.token) {
				t.Errorf("%s %s sends back what it was sent", method, path)
			}
		}
	}
}

// GET changes nothing but what says when somebody was here, and a reader's own
// mark on a notice that was opened, with the sum of these marks.
func TestGettingChangesNothing(t *testing.T) {
	e := newEstate(t)
	for _, r := range e.routes() {
		if r.method != get || r.path == "/live" {
			continue
		}
		before := e.contents(t)
		e.ask(t, theAdmin, get, e.path(r.path), nil)
		if status := e.visits[theAdmin].status; status == http.StatusInternalServerError {
			t.Errorf("GET %s: %d", r.path, status)
		}
		for name, sum := range e.contents(t) {
			if sum != before[name] && !(name == "audit" && r.audit != "") { // an act is audited; that one is a GET is the provider's protocol
				t.Errorf("GET %s changes %s", r.path, name)
			}
		}
	}
}

// contents is a sum of each table of ours, but for those that say when somebody was
// here and what a reader has opened.
func (s *site) contents(t *testing.T) map[string]string {
	t.Helper()
	rows, err := s.pool.Query(t.Context(), `select quote_ident(relname) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
		and relname not like 'river%' and relname not in ('sessions', 'api_tokens', 'notice_reads', 'notice_read_sums') order by relname`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 20 {
		t.Fatalf("%d tables (%v)", len(tables), err)
	}
	is := map[string]string{}
	for _, name := range tables {
		var sum string
		if err := s.pool.QueryRow(t.Context(), `select coalesce(md5(string_agg(x::text, ',' order by x::text)), '') from `+name+` x`).Scan(&sum); err != nil {
			t.Fatal(err)
		}
		is[name] = sum
	}
	return is
}

// What stands in the address is part of what was asked for: only the very same
// request counts as sent twice.
func TestOnceIsOfTheWholeAddress(t *testing.T) {
	a := &app{recent: &recentForms{forms: map[[32]byte]*sentForm{}}}
	acts := 0
	handler := a.onlyOnce(func(c echo.Context) error {
		acts++
		return seeOther(c, "/notices")
	})
	for _, address := range []string{"/notices/read?up_to=5", "/notices/read?up_to=5", "/notices/read?up_to=9"} {
		c := echo.New().NewContext(httptest.NewRequest(post, address, nil), httptest.NewRecorder())
		c.Set(visitorKey, visitor{UserID: 1, SessionID: "a session"})
		if _, err := formFields(c); err != nil { // as before every handler
			t.Fatal(err)
		}
		if err := handler(c); err != nil {
			t.Fatal(err)
		}
	}
	if acts != 2 {
		t.Errorf("it acted %d times, want once for each address", acts)
	}
}
