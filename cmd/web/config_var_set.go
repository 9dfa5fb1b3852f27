package main

import (
	"fmt"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// configVarSet serves POST /apps/:app/config-vars.
func (a *app) configVarSet(c echo.Context) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	input, err := readInput(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	noteSubject(c, app.Name+" "+shortened(input["name"]))
	var release platform.Release
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		release, err = db.SetConfigVar(ctx, tx, a.sealer, app.ID, input["name"], input["value"], visitorOf(c).Email)
		return err
	})
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error {
			return a.showApp(c, app, appPage{varForm: form, formationForm: formOf(c)})
		})
	}
	if isAPI(c) {
		return c.JSON(201, map[string]any{"name": input["name"], "release": release.Number})
	}
	if release.Number > 0 {
		a.flashOK(c, fmt.Sprintf("%s is set: release v%d.", input["name"], release.Number))
	} else {
		a.flashOK(c, fmt.Sprintf("%s had that value already; nothing was released.", input["name"]))
	}
	return seeOther(c, appPath(app.Name)+"#config-vars")
}

// configVarDelete serves POST /apps/:app/config-vars/:name/delete.
func (a *app) configVarDelete(c echo.Context) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	ctx, name := c.Request().Context(), c.Param("name")
	var release platform.Release
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		release, err = db.DeleteConfigVar(ctx, tx, app.ID, name, visitorOf(c).Email)
		return err
	})
	if err != nil {
		return err
	}
	if isAPI(c) {
		return c.JSON(200, map[string]any{"name": name, "release": release.Number})
	}
	a.flashOK(c, fmt.Sprintf("%s is removed: release v%d.", name, release.Number))
	return seeOther(c, appPath(app.Name)+"#config-vars")
}

// configVarReveal serves POST /apps/:app/config-vars/:name/reveal.
func (a *app) configVarReveal(c echo.Context) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	v, err := db.ConfigVar(c.Request().Context(), a.pool, a.sealer, a.engine.Host(), app.ID, c.Param("name"))
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	if isAPI(c) {
		return c.JSON(200, map[string]string{"name": v.Name, "value": v.Value})
	}
	return a.showApp(c, app, appPage{varForm: formOf(c), formationForm: formOf(c), revealed: v})
}
