package main

import (
	"fmt"
	"strconv"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// maintenanceSet serves POST /apps/:app/maintenance.
func (a *app) maintenanceSet(c echo.Context) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	input, err := readInput(c)
	if err != nil {
		return err
	}
	on := isOn(input["on"])
	if err := db.SetMaintenance(c.Request().Context(), a.pool, app.ID, on); err != nil {
		return err
	}
	word := "off"
	if on {
		word = "on"
	}
	noteDetail(c, "Maintenance mode "+word)
	if isAPI(c) {
		return c.JSON(200, map[string]any{"name": app.Name, "maintenance": on})
	}
	a.flashOK(c, fmt.Sprintf("Maintenance mode of %s is %s.", app.Name, word))
	return seeOther(c, a.cameFrom(c, appPath(app.Name)))
}

// formationSet serves POST /apps/:app/formation.
func (a *app) formationSet(c echo.Context) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	process, err := a.scale(c, app)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error {
			return a.showApp(c, app, appPage{varForm: formOf(c), formationForm: form})
		})
	}
	noteDetail(c, fmt.Sprintf("%s=%d", process.Type, process.Quantity))
	if isAPI(c) {
		return c.JSON(200, map[string]int{process.Type: process.Quantity})
	}
	a.flashOK(c, fmt.Sprintf("%s runs %s=%d now.", app.Name, process.Type, process.Quantity))
	return seeOther(c, appPath(app.Name)+"#formation")
}

func (a *app) scale(c echo.Context, app platform.App) (platform.Process, error) {
	var process platform.Process
	input, err := readInput(c)
	if err != nil {
		return process, err
	}
	process.Type = input["process"]
	process.Quantity, err = strconv.Atoi(input["quantity"])
	if err != nil || process.Quantity < 0 || process.Quantity > 1000 {
		return process, platform.Invalid("quantity", "A process type has between 0 and 1000 processes. Type a number in that range.")
	}
	return process, db.SetProcess(c.Request().Context(), a.pool, app.ID, process)
}

// appDestroyConfirm serves GET /apps/:app/destroy.
func (a *app) appDestroyConfirm(c echo.Context) error { return a.showAppDestroy(c, formOf(c)) }

func (a *app) showAppDestroy(c echo.Context, form component.Form) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	databases, err := db.ListDatabases(c.Request().Context(), a.pool, platform.Everything(), db.DatabaseFilter{AppID: app.ID})
	if err != nil {
		return err
	}
	view := page.ConfirmView{
		Form: form, Title: "Destroy " + app.Name, Lead: "The app, its config vars and its attachments are removed. This cannot be undone.",
		Consequences: []component.Check{
			note(component.ToneBad, "Config vars", "are gone for good; whoever reads them gets an error."),
			note(component.ToneInfo, "Releases and operations", "stay in the history."),
		},
		Refusal: appDestroyRefusal(app, databases), ConfirmWord: app.Name, ConfirmWhat: "the app's name", Button: "Destroy " + app.Name,
		Destructive: true, PostURL: appPath(app.Name) + "/destroy", Back: component.Link{Text: "Back to " + app.Name, URL: appPath(app.Name)},
	}
	f, err := a.frame(c, view.Title, layout.NavApps)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Apps", URL: "/apps"}, appLink(app.Name), component.Link{Text: "Destroy"})
	return a.render(c, statusOr(c), page.Confirm(f, view))
}

// appDestroy serves POST /apps/:app/destroy.
func (a *app) appDestroy(c echo.Context) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	input, err := readInput(c)
	if err != nil {
		return err
	}
	if err = confirmed(input, app.Name, "the app's name"); err == nil {
		ctx := c.Request().Context()
		err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error { return db.DestroyApp(ctx, tx, app.ID) })
	}
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showAppDestroy(c, form) })
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "The app "+app.Name+" is destroyed.")
	return seeOther(c, "/apps")
}
