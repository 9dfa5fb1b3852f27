package main

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/labstack/echo/v4"
)

func separateAct() act {
	return act{
		verb: "separate", title: "Make a separate fork of", button: "Separate", destructive: true,
		lead: func(db.DatabaseListRow) string {
			return "It becomes a writable database of its own, attached to no app. This cannot be undone."
		},
		refusal: func(row db.DatabaseListRow, _ []platform.Attachment) (string, component.Link) {
			d := row.Database
			switch {
			case d.State != platform.DatabaseFenced:
				return "It is not fenced.", component.Link{}
			case d.ReplacedByID == nil:
				return "No other database has taken its place, so it can simply be unfenced.", component.Link{Text: "Unfence it", URL: databasePath(d.Name) + "/unfence"}
			}
			return "", component.Link{}
		},
		means: func(a *app, row db.DatabaseListRow) []component.Check {
			checks := []component.Check{
				note(component.ToneWarn, "Its data", "goes its own way from here: what %s took since the switch is not in it, and never will be.", row.ReplacedBy),
				note(component.ToneInfo, "Billing", "It costs %s as before.", monthly(a.plan(row.Database.Plan))),
				note(component.ToneWarn, "Unlogged tables", "are empty."),
			}
			for _, t := range row.Attachments {
				checks = append(checks, note(component.ToneWarn, "Attachment", "%s goes, and its config var with it.", t))
			}
			return checks
		},
		start: func(a *app, ctx context.Context, actor string, id int64, confirm string) (platform.Operation, error) {
			return a.jobs.StartSeparate(ctx, actor, id, confirm)
		},
	}
}

// separateConfirm serves GET /databases/:database/separate.
func (a *app) separateConfirm(c echo.Context) error {
	return a.showConfirm(c, separateAct(), formOf(c))
}

// separateStart serves POST /databases/:database/separate.
func (a *app) separateStart(c echo.Context) error { return a.startAct(c, separateAct()) }
