package main

import (
	"encoding/csv"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"changeover/internal/db"

	"github.com/PuerkitoBio/goquery"
)

// auditRows fills the audit with acts of several people on two apps.
func auditRows(t *testing.T, e *estate) {
	t.Helper()
	for i, row := range []db.AuditEntry{
		{Actor: "manager@example.com", Action: "destroy database", Subject: e.database.Name, Outcome: db.AuditRefused, Detail: "=HYPERLINK(\"http://evil.example\")", AppIDs: []int64{e.app.ID}},
		{Actor: "operator@example.com", Action: "set config var", Subject: "sushi LOG_LEVEL", Outcome: db.AuditDone, AppIDs: []int64{e.app.ID}},
		{Actor: "operator@example.com", Action: "cancel operation", Subject: fmt.Sprint(e.operation), Outcome: db.AuditDone, AppIDs: []int64{e.app.ID}},
		{Actor: "stranger@example.com", Action: "create app", Subject: "ramen", Outcome: db.AuditDone},
	} {
		noErr(t, db.AddAudit(t.Context(), e.pool, row))
		_ = i
	}
	noErr(t, db.AddProgramAudit(t.Context(), e.pool, e.database.ID, "make full", "It holds more than its plan."))
}

func TestAuditIsFiltered(t *testing.T) {
	e := newEstate(t)
	auditRows(t, e)
	shown := func(who int, query string) string {
		t.Helper()
		e.ask(t, who, get, "/audit?"+query, nil)
		e.visits[who].want(200, "/audit")
		var rows []string
		e.visits[who].page.Find("[data-testid=audit] tbody tr").Each(func(_ int, row *goquery.Selection) {
			cells := row.Find("td")
			rows = append(rows, strings.TrimSpace(cells.Eq(1).Text())+" "+strings.TrimSpace(cells.Eq(2).Find("span").First().Text()))
		})
		return strings.Join(rows, "|")
	}
	const set, cancel, refused, full = "operator@example.com set config var", "operator@example.com cancel operation", "manager@example.com destroy database", "changeover make full"
	for query, want := range map[string]string{
		"app=sushi":                               strings.Join([]string{full, cancel, set, refused}, "|"),
		"database=" + e.database.Name:             strings.Join([]string{full, cancel, refused}, "|"),
		"person=Operator@example.com&app=sushi":   strings.Join([]string{cancel, set}, "|"),
		"person=changeover":                       full,
		"act=set+config+var":                      set,
		"outcome=refused&app=sushi":               refused,
		"from=2020-01-01&until=2020-12-31":        "",
		"app=sushi&from=2020-01-01&act=make+full": full,
		"app=susha":                               "",
	} {
		if got := shown(theAdmin, query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	// What is filtered for is no way around the rights.
	for _, query := range []string{"app=sushi", "database=" + e.database.Name, "person=operator@example.com"} {
		if got := shown(stranger, query); got != "" {
			t.Errorf("the stranger sees %q by %s", got, query)
		}
	}
	v := e.visits[theAdmin]
	for query, field := range map[string]string{"from=2026-02-31": "from", "until=soon": "until", "from=2026-03-02&until=2026-03-01": "until"} {
		if e.ask(t, theAdmin, get, "/audit?"+query, nil); v.status != 422 || v.page.Find("[data-testid=error-"+field+"]").Length() != 1 {
			t.Errorf("%s: %d\n%s", query, v.status, v.text())
		}
	}

	// The filter stays in the addresses of the next page and of the file.
	_, err := e.pool.Exec(t.Context(), `insert into audit (actor, action, outcome, app_ids) select 'manager@example.com', 'scale', 'done', array[$1::bigint] from generate_series(1, 250)`, e.app.ID)
	noErr(t, err)
	path, seen := "/audit?act=scale&app=sushi", 0
	for pages := 1; path != ""; pages++ {
		e.ask(t, theViewer, get, path, nil)
		seen += e.visits[theViewer].page.Find("[data-testid=audit] tbody tr").Length()
		if href := e.visits[theViewer].page.Find("[data-testid=export]").AttrOr("href", ""); href != "/audit.csv?act=scale&app=sushi" {
			t.Fatalf("the file is at %q", href)
		}
		path = e.visits[theViewer].page.Find("[data-testid=older]").AttrOr("href", "")
		if u, err := url.Parse(path); err != nil || path != "" && (u.Query().Get("act") != "scale" || u.Query().Get("before") == "") || pages > 3 {
			t.Fatalf("page %d leads to %q", pages, path)
		}
	}
	if seen != 250 {
		t.Errorf("%d rows on all pages, want 250", seen)
	}
}

func TestAuditExport(t *testing.T) {
	e := newEstate(t)
	auditRows(t, e)
	_, err := e.pool.Exec(t.Context(), `insert into audit (actor, action, outcome, app_ids) select 'manager@example.com', 'scale', 'done', array[$1::bigint] from generate_series(1, 2500)`, e.app.ID)
	noErr(t, err)
	file := func(who int, query string) [][]string {
		t.Helper()
		e.ask(t, who, get, "/audit.csv?"+query, nil)
		v := e.visits[who]
		if v.status != 200 || !strings.HasPrefix(v.header.Get("Content-Type"), "text/csv") || !strings.HasPrefix(v.header.Get("Content-Disposition"), `attachment; filename="audit-2`) {
			t.Fatalf("%d %v", v.status, v.header)
		}
		rows, err := csv.NewReader(strings.NewReader(v.body)).ReadAll()
		noErr(t, err)
		return rows
	}
	if rows := file(theViewer, "act=scale"); len(rows) != 2501 || strings.Join(rows[0], ",") != "at,actor,action,subject,outcome,detail,address" {
		t.Errorf("%d rows under %v", len(rows)-1, rows[0])
	}
	if rows := file(theManager, "outcome=refused&app=sushi"); len(rows) != 2 || rows[1][5] != `'=HYPERLINK("http://evil.example")` {
		t.Errorf("a formula: %v", rows)
	}
	if rows := file(stranger, "app=sushi"); len(rows) != 1 {
		t.Errorf("the stranger exports %v", rows[1:])
	}
	if e.ask(t, theAdmin, get, "/audit.csv?from=never", nil); e.visits[theAdmin].status != 422 {
		t.Errorf("a day that is none: %d", e.visits[theAdmin].status)
	}
	for text, want := range map[string]string{"": "", "plain": "plain", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "a=b": "a=b"} {
		if got := cell(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
