package main

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/labstack/echo/v4"
)

func fenceAct() act {
	return act{
		verb: "fence", title: "Fence", button: "Fence", destructive: true,
		lead: func(db.DatabaseListRow) string {
			return "It refuses every write, for certain, whatever a client sets, until somebody unfences it."
		},
		refusal: func(row db.DatabaseListRow, _ []platform.Attachment) (string, component.Link) {
			d := row.Database
			switch {
			case d.IsFollower():
				return "It is a follower and takes no writes as it is. Fence its leader instead.", databaseLink(row.LeaderName)
			case d.State == platform.DatabaseFenced:
				return "It is fenced already.", component.Link{Text: "Unfence it", URL: databasePath(d.Name) + "/unfence"}
			}
			return "", component.Link{}
		},
		means: func(_ *app, row db.DatabaseListRow) []component.Check {
			return []component.Check{
				note(component.ToneBad, "Writes of "+row.Database.AppName, "fail from the first second. Turn on the app's maintenance mode first if its users should not see that."),
				note(component.ToneWarn, "Connections", "%d are ended; they can connect again at once and read.", row.Reading.Connections),
				note(component.ToneInfo, "Undo", "Unfence it: it writes again, with all of its data."),
			}
		},
		start: func(a *app, ctx context.Context, actor string, id int64, confirm string) (platform.Operation, error) {
			return a.jobs.StartFence(ctx, actor, id, confirm)
		},
	}
}

// fenceConfirm serves GET /databases/:database/fence.
func (a *app) fenceConfirm(c echo.Context) error { return a.showConfirm(c, fenceAct(), formOf(c)) }

// fenceStart serves POST /databases/:database/fence.
func (a *app) fenceStart(c echo.Context) error { return a.startAct(c, fenceAct()) }
