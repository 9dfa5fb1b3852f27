package main

import (
	"slices"
	"time"

	"changeover/internal/db"

	"github.com/labstack/echo/v4"
)

// renewedKey are the names that the request's own session had before.
const renewedKey = "session renewed"

// leavesWithin is how long the page that sent a form may take to be replaced by
// the answer. Its live connection belongs to the session of before; ended at
// once, it would ask for its page with a cookie that is worth nothing any more,
// and lead to the sign-in page whoever has just been given a new one.
const leavesWithin = 10 * time.Second

// renewSession gives the session a new token, after a proof and after a change
// of what its person signs in with.
func (a *app) renewSession(c echo.Context) error {
	token, session, err := db.RotateSession(c.Request().Context(), a.pool, a.sessionToken(c))
	if err != nil {
		return err
	}
	a.renewed(c, token, session)
	return nil
}

// renewed hands the browser the new token of its session. The live connections
// of the old one end when the page that has them is gone.
func (a *app) renewed(c echo.Context, token string, session db.Session) {
	a.setSession(c, token)
	v := visitorOf(c)
	old := v.SessionID
	before, _ := c.Get(renewedKey).([]string)
	c.Set(renewedKey, append(before, old))
	v.SessionID, v.CSRF, v.ProvedAt = session.Handle, session.CSRFToken, session.ProvedAt
	c.Set(visitorKey, v)
	time.AfterFunc(leavesWithin, func() { a.hub.dropSessions(func(b *browser) bool { return b.session == old }) })
}

// dropOthers ends the live connections of every other browser of the visitor.
func (a *app) dropOthers(c echo.Context) {
	v := visitorOf(c)
	own, _ := c.Get(renewedKey).([]string)
	a.hub.dropSessions(func(b *browser) bool {
		return b.user == v.UserID && b.session != v.SessionID && !slices.Contains(own, b.session)
	})
}
