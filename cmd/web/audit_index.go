package main

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// auditAPage is how many acts the audit lists at once.
const auditAPage = 100

// auditFields are what narrows the audit, as they stand in the address.
func auditFields() []string {
	return []string{"q", "app", "database", "person", "act", "outcome", "from", "until"}
}

// readAuditFilter reads the address of the audit: the filter, and what of it is
// to stand in the next address. Invalid at the field of a day that is none.
func readAuditFilter(c echo.Context) (db.AuditFilter, url.Values, error) {
	kept := url.Values{}
	for _, name := range auditFields() {
		if v := strings.TrimSpace(c.QueryParam(name)); v != "" {
			if err := checkField(name, v); err != nil {
				return db.AuditFilter{}, kept, err
			}
			kept.Set(name, v)
		}
	}
	f := db.AuditFilter{
		Text: kept.Get("q"), App: kept.Get("app"), Database: kept.Get("database"), Actor: strings.ToLower(kept.Get("person")), Action: kept.Get("act"),
		Outcome: kept.Get("outcome"), BeforeID: queryNumber(c, "before"), Limit: auditAPage + 1,
	}
	var err error
	if f.From, err = readDay(kept, "from"); err != nil {
		return f, kept, err
	}
	if f.Until, err = readDay(kept, "until"); err != nil {
		return f, kept, err
	}
	if !f.Until.IsZero() {
		f.Until = f.Until.AddDate(0, 0, 1) // the last day counts as a whole
	}
	if !f.From.IsZero() && !f.Until.IsZero() && !f.From.Before(f.Until) {
		return f, kept, platform.Invalid("until", "The last day is before the first one. Choose a later one.")
	}
	return f, kept, nil
}

// readDay is midnight UTC of a day such as 2026-11-28; zero where none is given.
func readDay(values url.Values, name string) (time.Time, error) {
	text := values.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Year() < 2000 || day.Year() > 9999 {
		return time.Time{}, platform.Invalid(name, "A day is written as 2026-11-28. Choose one from the calendar.")
	}
	return day, nil
}

// auditIndex serves GET /audit.
func (a *app) auditIndex(c echo.Context) error {
	f, kept, err := readAuditFilter(c)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showAudit(c, nil, kept, form) })
	}
	v := visitorOf(c)
	entries, err := db.ListAudit(c.Request().Context(), a.pool, v.Email, v.Access, f)
	if err != nil {
		return err
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
		entries = entries[:min(len(entries), auditAPage)]
		list := make([]auditJSON, 0, len(entries))
		for _, e := range entries {
			list = append(list, auditJSON{e.At, e.Actor, e.Action, e.Subject, e.Outcome, e.Detail})
		}
		return c.JSON(200, list)
	}
	return a.showAudit(c, entries, kept, component.Form{})
}

func (a *app) showAudit(c echo.Context, entries []db.AuditEntry, kept url.Values, form component.Form) error {
	form.Values = map[string]string{}
	for name := range kept {
		form.Values[name] = kept.Get(name)
	}
	view := page.AuditIndexView{Form: form, Filtered: len(kept) > 0, ExportURL: withQuery("/audit.csv", kept)}
	if len(entries) > auditAPage {
		entries = entries[:auditAPage]
		next := url.Values{"before": {strconv.FormatInt(entries[auditAPage-1].ID, 10)}}
		for name := range kept {
			next.Set(name, kept.Get(name))
		}
		view.NextURL = withQuery("/audit", next)
	}
	for _, e := range entries {
		row := page.AuditRow{At: e.At, Actor: e.Actor, Action: e.Action, Subject: e.Subject, Outcome: e.Outcome, Detail: e.Detail, IP: e.IP}
		if strings.HasPrefix(e.Subject, "postgresql-") && !strings.Contains(e.Subject, " ") {
			row.SubjectURL = databasePath(e.Subject)
		}
		view.Rows = append(view.Rows, row)
	}
	if err := a.auditChoices(c, &view); err != nil {
		return err
	}
	f, err := a.frame(c, "Audit", layout.NavAudit)
	if err != nil {
		return err
	}
	return a.render(c, statusOr(c), page.AuditIndex(f, view))
}

// auditChoices is what the filter offers: apps that the reader sees, people for
// administrators, and every act that there is.
func (a *app) auditChoices(c echo.Context, view *page.AuditIndexView) error {
	ctx, v := c.Request().Context(), visitorOf(c)
	apps, err := db.ListApps(ctx, a.pool, v.Access)
	if err != nil {
		return err
	}
	for _, app := range apps {
		view.Apps = append(view.Apps, app.Name)
	}
	if v.Admin {
		people, err := db.ListPeople(ctx, a.pool)
		if err != nil {
			return err
		}
		for _, p := range people {
			view.People = append(view.People, p.Email)
		}
		view.People = append(view.People, db.ProgramActor)
	}
	for _, r := range a.routes() {
		if r.audit != "" {
			view.Acts = append(view.Acts, r.audit)
		}
	}
	own, err := db.AuditProgramActions(ctx, a.pool)
	if err != nil {
		return err
	}
	view.Acts = append(append(view.Acts, openAction), own...)
	slices.Sort(view.Acts)
	view.Acts = slices.Compact(view.Acts)
	return nil
}

// withQuery is a path with what narrows it.
func withQuery(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// queryNumber is a number in the query; anything else counts as 0.
func queryNumber(c echo.Context, name string) int64 {
	n, err := strconv.ParseInt(c.QueryParam(name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
