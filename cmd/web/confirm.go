package main

import (
	"context"
	"fmt"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// act is a destructive act on a database: how its confirmation page reads, and
// how it starts.
type act struct {
	verb        string // "unfollow", the last part of its path
	title       string
	lead        func(row db.DatabaseListRow) string
	refusal     func(row db.DatabaseListRow, attachments []platform.Attachment) (sentence string, wayOut component.Link)
	means       func(a *app, row db.DatabaseListRow) []component.Check
	button      string // before the database's name
	destructive bool
	start       func(a *app, ctx context.Context, actor string, id int64, confirm string) (platform.Operation, error)
}

func note(tone component.Tone, label, format string, args ...any) component.Check {
	return component.Check{Tone: tone, Label: label, Detail: fmt.Sprintf(format, args...)}
}

// showConfirm is the page that lists what an act does and asks for the app's name.
func (a *app) showConfirm(c echo.Context, act act, form component.Form) error {
	row, err := a.findDatabase(c)
	if err != nil {
		return err
	}
	d := row.Database
	attachments, err := db.AttachmentsOfDatabase(c.Request().Context(), a.pool, d.ID)
	if err != nil {
		return err
	}
	view := page.ConfirmView{
		Form: form, Title: act.title + " " + d.Name, Lead: act.lead(row), Consequences: act.means(a, row),
		ConfirmWord: d.AppName, ConfirmWhat: "the app's name", Button: act.button + " " + d.Name, Destructive: act.destructive,
		PostURL: databasePath(d.Name) + "/" + act.verb, Back: component.Link{Text: "Back to " + d.Name, URL: databasePath(d.Name)},
	}
	view.Refusal, view.WayOut = act.refusal(row, attachments)
	if row.Operation != nil && view.Refusal == "" {
		view.Refusal = fmt.Sprintf("%s of it is running. Wait until it has ended, or cancel it.", row.Operation.Kind.Title())
		view.WayOut = component.Link{Text: "Show the operation", URL: operationPath(row.Operation.ID)}
	}
	return a.renderConfirm(c, row, view)
}

func (a *app) renderConfirm(c echo.Context, row db.DatabaseListRow, view page.ConfirmView) error {
	f, err := a.frame(c, view.Title, layout.NavDatabases)
	if err != nil {
		return err
	}
	d := row.Database
	f.Breadcrumbs = crumbs(component.Link{Text: "Databases", URL: "/databases"}, appLink(d.AppName), databaseLink(d.Name), component.Link{Text: view.Title})
	return a.render(c, statusOr(c), page.Confirm(f, view))
}

// startAct begins a confirmed act.
func (a *app) startAct(c echo.Context, act act) error {
	op, err := func() (platform.Operation, error) {
		input, err := readInput(c)
		if err != nil {
			return platform.Operation{}, err
		}
		row, err := a.findDatabase(c)
		if err != nil {
			return platform.Operation{}, err
		}
		return act.start(a, c.Request().Context(), visitorOf(c).Email, row.Database.ID, input["confirm"])
	}()
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showConfirm(c, act, form) })
	}
	return accepted(c, op.ID, c.Param("database"))
}
