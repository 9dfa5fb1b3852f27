package main

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"changeover/internal/db"

	"github.com/PuerkitoBio/goquery"
	"github.com/jackc/pgx/v5"
)

func TestAuditIsOfWhatOneMaySee(t *testing.T) {
	e := newEstate(t)
	e.ask(t, theOperator, post, "/databases/"+e.database.Name+"/fence", nil)
	e.ask(t, stranger, get, "/apps/sushi", nil)
	e.ask(t, stranger, post, "/apps", url.Values{"name": {"ramen"}})
	e.ask(t, theAdmin, post, "/settings/sessions/end-others", nil)
	const fence, opened, created, ended = "operator@example.com fence", "stranger@example.com open", "stranger@example.com create app", "admin@example.com end other sessions"
	for who, sees := range [visitors][]string{
		stranger:    {opened, created}, // its own acts, also the one on an app that it does not see
		theViewer:   {fence, opened},
		theOperator: {fence, opened},
		theManager:  {fence, opened},
		theAdmin:    {fence, opened, created, ended},
	} {
		if who == nobody || who == theToken {
			continue
		}
		e.ask(t, who, get, "/audit", nil)
		e.visits[who].want(200, "/audit")
		table := strings.Join(strings.Fields(e.visits[who].page.Find("[data-testid=audit]").Text()), " ")
		for _, act := range []string{fence, opened, created, ended} {
			actor, action, _ := strings.Cut(act, " ")
			shown := e.visits[who].page.Find("[data-testid=audit] tbody tr").FilterFunction(func(_ int, row *goquery.Selection) bool {
				return strings.Contains(row.Text(), actor) && strings.Contains(row.Text(), action)
			}).Length() > 0
			if want := slices.Contains(sees, act); shown != want {
				t.Errorf("the %s sees %q: %t, want %t; the table is\n%s", visitorNames[who], act, shown, want, table)
			}
		}
	}
	// A role that is taken away takes the rows along.
	operator := e.userNamed(t, "operator@example.com")
	if err := db.InTx(t.Context(), e.pool, func(tx pgx.Tx) error { return db.RemoveMember(t.Context(), tx, e.app.ID, operator.ID) }); err != nil {
		t.Fatal(err)
	}
	e.ask(t, theOperator, get, "/audit", nil)
	if text := e.visits[theOperator].page.Find("main").Text(); strings.Contains(text, "stranger@example.com") {
		t.Errorf("without a role the acts of others are still shown:\n%s", text)
	}
}
