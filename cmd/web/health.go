package main

import (
	"context"
	"net/http"
	"time"

	"changeover/internal/db"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// healthz serves GET /healthz: the process answers.
func (a *app) healthz(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

// readyz serves GET /readyz: the control database answers, and River and the
// engine are up.
func (a *app) readyz(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), 2*time.Second)
	defer cancel()
	if err := db.Ping(ctx, a.pool); err != nil {
		return c.String(http.StatusServiceUnavailable, "the control database does not answer\n")
	}
	if !a.ready.Load() {
		return c.String(http.StatusServiceUnavailable, "operations are not running yet\n")
	}
	return c.String(http.StatusOK, "ready\n")
}

// staticFile serves GET /static/*.
func (a *app) staticFile(c echo.Context) error {
	a.files.ServeHTTP(c.Response(), c.Request())
	return nil
}

// styleguide serves GET /styleguide, in development only.
func (a *app) styleguide(c echo.Context) error {
	f, err := a.frame(c, "Styleguide", layout.NavNone)
	if err != nil {
		return err
	}
	return a.render(c, http.StatusOK, page.Styleguide(f))
}
