package main

import (
	"changeover/internal/db"

	"github.com/labstack/echo/v4"
)

// sessionEnd serves POST /settings/sessions/:id/end.
func (a *app) sessionEnd(c echo.Context) error {
	id := c.Param("id")
	noteSubject(c, "a session of "+visitorOf(c).Email)
	if err := db.EndUserSession(c.Request().Context(), a.pool, visitorOf(c).UserID, id); err != nil {
		return err
	}
	a.hub.dropSessions(func(b *browser) bool { return b.session == id })
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "That browser is signed out.")
	return seeOther(c, "/settings")
}

// sessionEndOthers serves POST /settings/sessions/end-others.
func (a *app) sessionEndOthers(c echo.Context) error {
	v := visitorOf(c)
	noteSubject(c, "sessions of "+v.Email)
	if _, err := db.EndAllSessions(c.Request().Context(), a.pool, v.UserID, v.SessionID); err != nil {
		return err
	}
	a.hub.dropSessions(func(b *browser) bool { return b.user == v.UserID && b.session != v.SessionID })
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "Every other browser is signed out.")
	return seeOther(c, "/settings")
}
