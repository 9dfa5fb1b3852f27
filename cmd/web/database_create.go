package main

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

// startCreateDatabase begins to make a database for the named app; major 0 is
// the newest PostgreSQL installed. An app that does not exist is made first.
func (a *app) startCreateDatabase(c echo.Context, appName, planName string, major int) (operation int64, name string, err error) {
	ctx, actor := c.Request().Context(), visitorOf(c).Email
	// The plan is looked at before the app is made: a typing mistake in one
	// field must not leave an app behind.
	if _, err := a.catalogue.Plan(planName); err != nil {
		return 0, "", err
	}
	if major == 0 {
		major = a.engine.Installations()[0].Major
	}
	app, err := a.appNamed(c, appName)
	if err != nil {
		return 0, "", err
	}
	op, err := a.jobs.StartCreateDatabase(ctx, actor, app.ID, planName, major)
	if err != nil {
		return 0, "", err
	}
	name, err = a.databaseName(ctx, op.DatabaseID)
	return op.ID, name, err
}

// appNamed is the app of that name, made now where there is none. What is
// wrong with the name is at field "app", where it was typed. Of another's app
// it can only be said that the name is taken: names are one space for all.
func (a *app) appNamed(c echo.Context, name string) (platform.App, error) {
	ctx, v := c.Request().Context(), visitorOf(c)
	app, err := db.AppByName(ctx, a.pool, name)
	if isKind(err, platform.KindNotFound) {
		if err := platform.CheckAppName("app", name); err != nil {
			return app, err
		}
		app, err = db.CreateApp(ctx, a.pool, name, v.Email)
		if !isKind(err, platform.KindConflict) {
			noteApps(c, app.ID)
			return app, err
		}
		app, err = db.AppByName(ctx, a.pool, name) // somebody made it at this very moment
	}
	if err != nil {
		return app, err
	}
	access, err := db.AccessOf(ctx, a.pool, v.UserID) // what was made just now counts
	if err != nil {
		return app, err
	}
	if !access.SeesAny(app.ID) {
		return app, platform.Invalid("app", "The name %s is taken. Choose another name for the app.", name)
	}
	noteApps(c, app.ID)
	return app, a.needRole(ctx, access, platform.RoleManage, app.ID)
}

func (a *app) databaseName(ctx context.Context, id int64) (string, error) {
	d, err := db.DatabaseByID(ctx, a.pool, id)
	return d.Name, err
}
