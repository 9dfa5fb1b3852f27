package main

import (
	"context"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// forgottenNew serves GET /sign-in/forgotten.
func (a *app) forgottenNew(c echo.Context) error { return a.showForgotten(c, formOf(c)) }

func (a *app) showForgotten(c echo.Context, form component.Form) error {
	mail, err := db.MailIsSet(c.Request().Context(), a.pool)
	if err != nil {
		return err
	}
	return a.render(c, statusOr(c), page.SignInForgotten(a.bareFrame(c, "Forgotten password"), page.SignInForgottenView{Form: form, Host: a.cfg.URL.Host, MailSet: mail}))
}

// forgottenSend serves POST /sign-in/forgotten. Known and unknown addresses get
// the same answer after the same work: who is known is looked up when the
// answer is gone.
func (a *app) forgottenSend(c echo.Context) error {
	email := strings.ToLower(strings.TrimSpace(c.FormValue("email")))
	if err := a.takeForgotten(c, email); err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showForgotten(c, form) })
	}
	noteSubject(c, shortened(email))
	ctx := context.WithoutCancel(c.Request().Context())
	request := requestID(c)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := a.mailResetLink(ctx, email, ""); err != nil && !isKind(err, platform.KindNotFound) {
			a.log.Warn("a link that resets a password was not mailed", "request", request, "error", err)
		}
	}()
	a.flashOK(c, "If "+shortened(email)+" may sign in here, a link that sets a new password is on its way there. It works once, within 24 hours.")
	return seeOther(c, "/sign-in")
}

func (a *app) takeForgotten(c echo.Context, email string) error {
	if local, domain, ok := strings.Cut(email, "@"); !ok || local == "" || domain == "" || strings.ContainsAny(email, " \t\r\n") || len(email) > 254 {
		return platform.Invalid("email", "An e-mail address has one @ and no spaces, such as chef@example.com.")
	}
	if mail, err := db.MailIsSet(c.Request().Context(), a.pool); err != nil || !mail {
		if err == nil {
			err = platform.Conflict("No mail server is set here, so no link can be mailed. Ask an administrator for one.")
		}
		return err
	}
	if err := a.takeAttempt(c, ""); err != nil {
		return err
	}
	if wait, ok := a.byMailbox.allow(email); !ok {
		return tooMany(wait, "links asked for this address")
	}
	return nil
}

// mailResetLink mails whoever has the address a link that sets a new password;
// madeBy is the administrator who asked for it, empty for anybody.
func (a *app) mailResetLink(ctx context.Context, email, madeBy string) error {
	user, err := db.UserByEmail(ctx, a.pool, email)
	if err != nil {
		return err
	}
	token, err := db.CreateResetLink(ctx, a.pool, user.ID, linkLife, madeBy)
	if err != nil {
		return err
	}
	why := "Somebody asked for a link that sets a new password for you. If it was not you, nothing needs to be done: your password stays as it is."
	if madeBy != "" {
		why = madeBy + " made a link for you that sets a new password."
	}
	return a.jobs.SendMail(ctx, jobs.Mail{
		To: user.Email, Subject: "Set a new password", GoodFor: linkLife,
		Body: greeting(user) + why + "\n\n" + signInLink(a.cfg, token) + "\n\nIt works once, within 24 hours. Every browser is signed out when the password is set.\n",
	})
}
