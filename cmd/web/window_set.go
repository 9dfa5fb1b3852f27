package main

import (
	"strconv"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// windowShow serves GET /databases/:database/window.
func (a *app) windowShow(c echo.Context) error { return a.showWindow(c, formOf(c)) }

func (a *app) showWindow(c echo.Context, form component.Form) error {
	row, err := a.findDatabase(c)
	if err != nil {
		return err
	}
	d := row.Database
	w, err := db.WindowOf(c.Request().Context(), a.pool, d.ID)
	if err != nil {
		return err
	}
	view := page.WindowView{Form: form, DatabaseName: d.Name, Window: w}
	if !a.plan(d.Plan).Tier.HasWindow {
		view.Refusal = d.Plan + " is an Essential plan: those databases have no maintenance window, since they are upgraded at once."
	}
	f, err := a.frame(c, "Maintenance window of "+d.Name, layout.NavDatabases)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Databases", URL: "/databases"}, appLinkFor(visitorOf(c).Access, d.AppID, d.AppName), databaseLink(d.Name), component.Link{Text: "Maintenance window"})
	return a.render(c, statusOr(c), page.WindowShow(f, view))
}

// windowSet serves POST /databases/:database/window.
func (a *app) windowSet(c echo.Context) error {
	w, err := a.setWindow(c)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showWindow(c, form) })
	}
	noteDetail(c, w.String())
	if isAPI(c) {
		return c.JSON(200, map[string]string{"weekday": strconv.Itoa(int(w.Weekday)), "window": w.String()})
	}
	a.flashOK(c, "The maintenance window of "+c.Param("database")+" is "+w.String()+".")
	return seeOther(c, databasePath(c.Param("database"))+"#maintenance")
}

func (a *app) setWindow(c echo.Context) (platform.Window, error) {
	input, err := readInput(c)
	if err != nil {
		return platform.Window{}, err
	}
	row, err := a.findDatabase(c)
	if err != nil {
		return platform.Window{}, err
	}
	w, err := platform.ParseWindow(input["weekday"], input["time"])
	if err != nil {
		return w, err
	}
	return w, a.jobs.SetWindow(c.Request().Context(), visitorOf(c).Email, row.Database.ID, w)
}
