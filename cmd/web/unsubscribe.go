package main

import (
	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// unsubscribeShow serves GET /unsubscribe/:token, to whoever has the link of a
// mail. It changes nothing: programs that look at mails fetch links, too.
func (a *app) unsubscribeShow(c echo.Context) error {
	user, err := a.unsubscribing(c)
	if err != nil {
		return err
	}
	choices, err := db.MailChoicesOf(c.Request().Context(), a.pool, user.ID)
	if err != nil {
		return err
	}
	return a.showUnsubscribe(c, user, choices == noMails())
}

// unsubscribe serves POST /unsubscribe/:token: the page's button, and the one
// click of a mail program, which has no cookie and no form of ours (RFC 8058).
func (a *app) unsubscribe(c echo.Context) error {
	user, err := a.unsubscribing(c)
	if err != nil {
		return err
	}
	noteActor(c, user.Email)
	noteSubject(c, user.Email)
	if err := db.SetMailChoices(c.Request().Context(), a.pool, user.ID, noMails()); err != nil {
		return err
	}
	return a.showUnsubscribe(c, user, true)
}

func noMails() platform.MailChoices {
	return platform.MailChoices{View: platform.MailNone, Operate: platform.MailNone, Manage: platform.MailNone, Admin: platform.MailNone}
}

func (a *app) unsubscribing(c echo.Context) (db.User, error) {
	id, err := jobs.UnsubscribeUser(a.sealer, c.Param("token"))
	if err != nil {
		return db.User{}, err
	}
	return db.UserByID(c.Request().Context(), a.pool, id)
}

func (a *app) showUnsubscribe(c echo.Context, user db.User, stopped bool) error {
	c.Response().Header().Set("Referrer-Policy", "no-referrer")
	return a.render(c, 200, page.Unsubscribe(a.bareFrame(c, "Mails about notices"), page.UnsubscribeView{Email: user.Email, Stopped: stopped, PostURL: c.Request().URL.Path}))
}
