package main

import (
	"fmt"

	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// promoteConfirm serves GET /databases/:database/promote.
func (a *app) promoteConfirm(c echo.Context) error {
	form := formOf(c)
	if app := c.QueryParam("app"); app != "" {
		form.Values["app"] = app
	}
	return a.showPromote(c, form)
}

func (a *app) showPromote(c echo.Context, form component.Form) error {
	row, err := a.findDatabase(c)
	if err != nil {
		return err
	}
	d := row.Database
	view := page.ConfirmView{
		Form: form, Title: "Promote " + d.Name, Lead: "It becomes the DATABASE_URL of an app, in one release.",
		Consequences: []component.Check{
			note(component.ToneWarn, "The app", "reads its new DATABASE_URL with the release; connections to the database before stay where they are until it restarts."),
			note(component.ToneInfo, "The database before", "keeps another name on the app: one that it has, or a colour made now."),
		},
		AppHint: "The app whose DATABASE_URL it becomes.", Button: "Promote " + d.Name, PostURL: databasePath(d.Name) + "/promote",
		Back: component.Link{Text: "Back to " + d.Name, URL: databasePath(d.Name)},
	}
	if view.Apps, err = a.appNames(c.Request().Context(), visitorOf(c).Access, platform.RoleManage); err != nil {
		return err
	}
	if _, typed := form.Values["app"]; !typed {
		view.Form.Values["app"] = d.AppName
		if app := c.QueryParam("app"); app != "" {
			view.Form.Values["app"] = app
		}
	}
	switch {
	case d.IsFollower():
		view.Refusal = "It is still a follower: as DATABASE_URL it would refuse every write. Unfollow it first, or change the leader's plan with a follower changeover, which does both."
		view.WayOut = component.Link{Text: "Start a follower changeover", URL: databasePath(row.LeaderName) + "/change-plan?follower=" + queryEscape(d.Name)}
	case d.State == platform.DatabaseFenced:
		view.Refusal = "It is fenced and would refuse every write. Unfence it first."
		view.WayOut = component.Link{Text: "Unfence it", URL: databasePath(d.Name) + "/unfence"}
	case row.Operation != nil:
		view.Refusal = fmt.Sprintf("%s of it is running. Wait until it has ended.", row.Operation.Kind.Title())
		view.WayOut = component.Link{Text: "Show the operation", URL: operationPath(row.Operation.ID)}
	case d.State != platform.DatabaseAvailable:
		view.Refusal = fmt.Sprintf("It is %s. Wait until it is available.", d.State)
	}
	return a.renderConfirm(c, row, view)
}

// promoteStart serves POST /databases/:database/promote.
func (a *app) promoteStart(c echo.Context) error {
	op, err := a.startPromote(c)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showPromote(c, form) })
	}
	return accepted(c, op.ID, c.Param("database"))
}

func (a *app) startPromote(c echo.Context) (platform.Operation, error) {
	input, err := readInput(c)
	if err != nil {
		return platform.Operation{}, err
	}
	ctx := c.Request().Context()
	row, err := a.findDatabase(c)
	if err != nil {
		return platform.Operation{}, err
	}
	name := or(input["app"], row.Database.AppName)
	app, err := a.appFor(c, name, platform.RoleManage)
	if err != nil {
		return platform.Operation{}, err
	}
	noteDetail(c, "As DATABASE_URL of "+app.Name)
	return a.jobs.StartPromote(ctx, visitorOf(c).Email, row.Database.ID, app.ID)
}
