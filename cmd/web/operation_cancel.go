package main

import (
	"fmt"
	"net/url"

	"github.com/labstack/echo/v4"
)

// operationCancel serves POST /operations/:id/cancel.
func (a *app) operationCancel(c echo.Context) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	noteSubject(c, fmt.Sprintf("operation %d", id))
	if err := a.jobs.Cancel(c.Request().Context(), visitorOf(c).Email, id); err != nil {
		return err
	}
	if !isAPI(c) {
		a.flashOK(c, "Cancelling was asked for. What the operation changed is undone step by step.")
	}
	return accepted(c, id, "")
}

// operationRetry serves POST /operations/:id/retry.
func (a *app) operationRetry(c echo.Context) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	noteSubject(c, fmt.Sprintf("operation %d", id))
	op, err := a.jobs.Retry(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return accepted(c, op.ID, "")
}

// cameFrom is the page of ours on which a button was pressed, else fallback.
func (a *app) cameFrom(c echo.Context, fallback string) string {
	u, err := url.Parse(c.Request().Referer())
	if err != nil || u.Host == "" || u.Host != c.Request().Host || u.Path == "" {
		return fallback
	}
	return localPath(u.RequestURI())
}
