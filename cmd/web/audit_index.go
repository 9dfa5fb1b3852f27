package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// auditAPage is how many acts the audit lists at once.
const auditAPage = 100

// auditIndex serves GET /audit.
func (a *app) auditIndex(c echo.Context) error {
	view := page.AuditIndexView{Query: strings.TrimSpace(c.QueryParam("q"))}
	v := visitorOf(c)
	entries, err := db.ListAudit(c.Request().Context(), a.pool, v.Email, v.Access, db.AuditFilter{Text: view.Query, BeforeID: queryNumber(c, "before"), Limit: auditAPage + 1})
	if err != nil {
		return err
	}
	if len(entries) > auditAPage {
		entries = entries[:auditAPage]
		view.NextURL = fmt.Sprintf("/audit?q=%s&before=%d", queryEscape(view.Query), entries[auditAPage-1].ID)
	}
	if isAPI(c) {
		type auditJSON struct {
			At      time.Time `json:"at"`
			Actor   string    `json:"actor"`
			Action  string    `json:"action"`
			Subject string    `json:"subject"`
			Outcome string    `json:"outcome"`
			Detail  string    `json:"detail,omitempty"`
		}
		list := make([]auditJSON, 0, len(entries))
		for _, e := range entries {
			list = append(list, auditJSON{e.At, e.Actor, e.Action, e.Subject, e.Outcome, e.Detail})
		}
		return c.JSON(200, list)
	}
	for _, e := range entries {
		row := page.AuditRow{At: e.At, Actor: e.Actor, Action: e.Action, Subject: e.Subject, Outcome: e.Outcome, Detail: e.Detail, IP: e.IP}
		if strings.HasPrefix(e.Subject, "postgresql-") && !strings.Contains(e.Subject, " ") {
			row.SubjectURL = databasePath(e.Subject)
		}
		view.Rows = append(view.Rows, row)
	}
	f, err := a.frame(c, "Audit", layout.NavAudit)
	if err != nil {
		return err
	}
	return a.render(c, 200, page.AuditIndex(f, view))
}

// queryNumber is a number in the query; anything else counts as 0.
func queryNumber(c echo.Context, name string) int64 {
	n, err := strconv.ParseInt(c.QueryParam(name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
