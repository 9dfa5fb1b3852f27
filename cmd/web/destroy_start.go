package main

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/labstack/echo/v4"
)

func destroyAct() act {
	return act{
		verb: "destroy", title: "Destroy", button: "Destroy", destructive: true,
		lead: func(db.DatabaseListRow) string {
			return "The server and all of its data are removed. This cannot be undone."
		},
		refusal: func(row db.DatabaseListRow, attachments []platform.Attachment) (string, component.Link) {
			switch row.Database.State {
			case platform.DatabaseDestroyed, platform.DatabaseDestroying:
				return "It is destroyed already.", component.Link{}
			}
			return destroyRefusal(row, attachments), component.Link{Text: "Back to its page", URL: databasePath(row.Database.Name)}
		},
		means: func(a *app, row db.DatabaseListRow) []component.Check {
			checks := []component.Check{
				note(component.ToneBad, "Data", "%s in %d tables are gone for good.", platform.Bytes(row.Reading.DataBytes), row.Reading.Tables),
				note(component.ToneWarn, "Connections", "%d are ended.", row.Reading.Connections),
				note(component.ToneInfo, "Billing", "of %s ends.", monthly(a.plan(row.Database.Plan))),
			}
			for _, t := range row.Attachments {
				checks = append(checks, note(component.ToneWarn, "Attachment", "%s goes, and its config var with it.", t))
			}
			return checks
		},
		start: func(a *app, ctx context.Context, actor string, id int64, confirm string) (platform.Operation, error) {
			return a.jobs.StartDestroy(ctx, actor, id, confirm)
		},
	}
}

// destroyConfirm serves GET /databases/:database/destroy.
func (a *app) destroyConfirm(c echo.Context) error { return a.showConfirm(c, destroyAct(), formOf(c)) }

// destroyStart serves POST /databases/:database/destroy.
func (a *app) destroyStart(c echo.Context) error { return a.startAct(c, destroyAct()) }
