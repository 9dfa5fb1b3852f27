package main

import (
	"changeover/internal/db"

	"github.com/labstack/echo/v4"
)

// databaseReveal serves POST /databases/:database/url: the page once more, with
// the URL in it. It is a POST so that it is audited and never cached.
func (a *app) databaseReveal(c echo.Context) error {
	row, err := a.findDatabase(c)
	if err != nil {
		return err
	}
	url, err := db.DatabaseURL(c.Request().Context(), a.pool, a.sealer, a.engine.Host(), row.Database.ID)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	if isAPI(c) {
		return c.JSON(200, map[string]string{"url": url})
	}
	return a.showDatabase(c, row, url, formOf(c))
}
