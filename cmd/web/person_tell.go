package main

import (
	"context"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

// tell mails a person what was done to their way in, where mail is set. It never
// stands in the way of what it tells about: what fails is in the log.
func (a *app) tell(c echo.Context, user db.User, subject, sentence string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), 5*time.Second)
	defer cancel()
	body := greeting(user) + sentence + "\n\nAt " + time.Now().UTC().Format("2 January 2006, 15:04:05 UTC") + ", on " + a.cfg.URL.String() + ".\n\n" +
		"If this was you, nothing needs to be done. If not, change your password and sign out every other browser:\n\n" + a.cfg.Link("/settings") + "\n"
	err := a.jobs.SendMail(ctx, jobs.Mail{To: user.Email, Subject: subject, Body: body})
	if err != nil && !isKind(err, platform.KindNotFound) {
		a.log.Warn("a mail about a way in was not kept", "request", requestID(c), "error", err)
	}
}

// tellIf is tell where there was something before that was changed.
func (a *app) tellIf(c echo.Context, is bool, user db.User, subject, sentence string) {
	if is {
		a.tell(c, user, subject, sentence)
	}
}

// greeting is the first line of a mail.
func greeting(user db.User) string {
	if user.Name == "" {
		return "Hello,\n\n"
	}
	return "Hello " + user.Name + ",\n\n"
}
