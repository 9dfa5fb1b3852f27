package main

import (
	"context"
	"slices"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// appIndex serves GET /apps.
func (a *app) appIndex(c echo.Context) error {
	if isAPI(c) {
		apps, err := db.ListApps(c.Request().Context(), a.pool, visitorOf(c).Access)
		if err != nil {
			return err
		}
		type appJSON struct {
			Name        string `json:"name"`
			Maintenance bool   `json:"maintenance"`
			Release     int    `json:"release"`
			Database    string `json:"database,omitempty"`
		}
		list := make([]appJSON, 0, len(apps))
		for _, app := range apps {
			list = append(list, appJSON{app.Name, app.MaintenanceOn, app.Release, app.DatabaseName})
		}
		return c.JSON(200, list)
	}
	return a.showAppIndex(c, formOf(c))
}

func (a *app) showAppIndex(c echo.Context, form component.Form) error {
	ctx, access := c.Request().Context(), visitorOf(c).Access
	apps, err := db.ListApps(ctx, a.pool, access)
	if err != nil {
		return err
	}
	view := page.AppIndexView{Form: form}
	uses, err := db.DatabaseUses(ctx, a.pool, access)
	if err != nil {
		return err
	}
	for _, app := range apps {
		row := page.AppRow{Name: app.Name, MaintenanceOn: app.MaintenanceOn, Formation: app.Formation, Release: app.Release, ReleasedAt: app.ReleasedAt}
		row.MonthlyCents, row.Databases = a.usesOf(app, uses)
		view.Apps = append(view.Apps, row)
	}
	f, err := a.frame(c, "Apps", layout.NavApps)
	if err != nil {
		return err
	}
	return a.render(c, statusOr(c), page.AppIndex(f, view))
}

// usesOf is what an app is billed for a month, and the databases attached to it.
func (a *app) usesOf(app db.AppListRow, uses []db.DatabaseUse) (cents int64, links []component.Link) {
	for _, u := range uses {
		if u.AppID == app.ID {
			cents += a.billed(u.Plan, u.State)
		}
		if slices.Contains(u.AttachedTo, app.ID) {
			links = append(links, databaseLink(u.Name))
		}
	}
	return cents, links
}

// billed is what a database in that state costs a month.
func (a *app) billed(plan string, state platform.DatabaseState) int64 {
	if state == platform.DatabaseCreating {
		return 0
	}
	return a.plan(plan).MonthlyCents
}

// appCreate serves POST /apps.
func (a *app) appCreate(c echo.Context) error {
	input, err := readInput(c)
	if err != nil {
		return err
	}
	app, err := db.CreateApp(c.Request().Context(), a.pool, input["name"], visitorOf(c).Email)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showAppIndex(c, form) })
	}
	noteSubject(c, app.Name)
	noteApps(c, app.ID)
	if isAPI(c) {
		return c.JSON(201, map[string]string{"name": app.Name})
	}
	a.flashOK(c, "The app "+app.Name+" is there. Create a database for it next.")
	return seeOther(c, appPath(app.Name))
}

// appNames are the apps that a form offers: those on which the visitor has role.
func (a *app) appNames(ctx context.Context, access platform.Access, role platform.Role) ([]string, error) {
	apps, err := db.ListApps(ctx, a.pool, access)
	var names []string
	for _, app := range apps {
		if access.On(app.ID) >= role {
			names = append(names, app.Name)
		}
	}
	return names, err
}
