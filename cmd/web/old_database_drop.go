package main

import (
	"fmt"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// showOldDatabase is what /databases/:database/destroy-old-server shows for an
// Essential database, which keeps no server but a database.
func (a *app) showOldDatabase(c echo.Context, form component.Form, row db.DatabaseListRow) error {
	d := row.Database
	view := page.ConfirmView{
		Form: form, Title: "Drop the old database of " + d.Name, Button: "Drop the old database", Destructive: true,
		Lead: "It is the database that the last upgrade has kept closed, as it was when it was copied.", ConfirmWord: d.AppName, ConfirmWhat: "the app's name",
		PostURL: databasePath(d.Name) + "/destroy-old-server", Back: component.Link{Text: "Back to " + d.Name, URL: databasePath(d.Name)},
		Consequences: []component.Check{
			note(component.ToneOK, "The database", "%s goes on as it is.", d.Name),
			note(component.ToneInfo, "Billing", "Nothing was billed for it, so nothing changes."),
		},
	}
	kept, err := db.KeptDatabasesOf(c.Request().Context(), a.pool, d.ID)
	switch {
	case err != nil:
		return err
	case len(kept) == 0:
		view.Refusal = "No old database of it is kept any more."
	case row.Operation != nil:
		view.Refusal = fmt.Sprintf("%s of it is running. Wait until it has ended.", row.Operation.Kind.Title())
		view.WayOut = component.Link{Text: "Show the operation", URL: operationPath(row.Operation.ID)}
	default:
		view.Consequences = append(view.Consequences, note(component.ToneInfo, "By itself", "It is dropped at %s.", platform.MomentUTC(*kept[0].KeptUntil)))
	}
	return a.renderConfirm(c, row, view)
}
