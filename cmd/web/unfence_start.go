package main

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/labstack/echo/v4"
)

func unfenceAct() act {
	return act{
		verb: "unfence", title: "Unfence", button: "Unfence",
		lead: func(db.DatabaseListRow) string { return "It takes writes again." },
		refusal: func(row db.DatabaseListRow, _ []platform.Attachment) (string, component.Link) {
			d := row.Database
			switch {
			case d.State != platform.DatabaseFenced:
				return "It is not fenced.", component.Link{}
			case d.ReplacedByID != nil:
				return "Another database has taken its place. Two leaders would write past each other, so it stays fenced.", component.Link{Text: "Make a separate fork of it", URL: databasePath(d.Name) + "/separate"}
			}
			return "", component.Link{}
		},
		means: func(_ *app, row db.DatabaseListRow) []component.Check {
			return []component.Check{
				note(component.ToneInfo, "Restart", "Its server restarts once; connections are ended and can come back at once."),
				note(component.ToneInfo, "Writes of "+row.Database.AppName, "are accepted again."),
				note(component.ToneWarn, "Unlogged tables", "are empty if it was started while fenced."),
			}
		},
		start: func(a *app, ctx context.Context, actor string, id int64, confirm string) (platform.Operation, error) {
			return a.jobs.StartUnfence(ctx, actor, id, confirm)
		},
	}
}

// unfenceConfirm serves GET /databases/:database/unfence.
func (a *app) unfenceConfirm(c echo.Context) error { return a.showConfirm(c, unfenceAct(), formOf(c)) }

// unfenceStart serves POST /databases/:database/unfence.
func (a *app) unfenceStart(c echo.Context) error { return a.startAct(c, unfenceAct()) }
