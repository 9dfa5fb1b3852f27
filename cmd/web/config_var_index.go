package main

import (
	"changeover/internal/db"

	"github.com/labstack/echo/v4"
)

// configVarIndex serves GET /apps/:app/config-vars. It is how an app outside
// learns its config vars, also every few milliseconds while a switch is under
// way, so it asks the control database as little as can be. For a person it is
// a part of the app's page.
func (a *app) configVarIndex(c echo.Context) error {
	if !isAPI(c) {
		return seeOther(c, appPath(c.Param("app"))+"#config-vars")
	}
	ctx := c.Request().Context()
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	vars, err := db.ListConfigVars(ctx, a.pool, a.sealer, a.engine.Host(), app.ID)
	if err != nil {
		return err
	}
	values := make(map[string]string, len(vars))
	for _, v := range vars {
		values[v.Name] = v.Value
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(200, values)
}
