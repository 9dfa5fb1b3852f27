package main

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// signInNew serves GET /sign-in.
func (a *app) signInNew(c echo.Context) error {
	if visitorOf(c).UserID != 0 {
		return seeOther(c, localPath(c.QueryParam("next")))
	}
	form := component.Form{CSRF: visitorOf(c).CSRF, Values: map[string]string{}}
	return a.showSignIn(c, form)
}

func (a *app) showSignIn(c echo.Context, form component.Form) error {
	mail, err := db.MailIsSet(c.Request().Context(), a.pool)
	if err != nil {
		return err
	}
	view := page.SignInView{Form: form, Host: a.cfg.URL.Host, MailSet: mail, Script: a.asset("passkey.js"), Next: c.QueryParam("next")}
	if a.identities != nil {
		view.Provider = a.identities.Host
	}
	if site := a.passkeySiteOf(c); site.whyNot == "" {
		if view.Passkey, err = db.PasskeysAreUsedAt(c.Request().Context(), a.pool, site.name); err != nil {
			return err
		}
	}
	return a.render(c, statusOr(c), page.SignIn(a.bareFrame(c, "Sign in"), view))
}

// signInCreate serves POST /sign-in. Both a wrong address and a wrong password
// give the same answer after the same work.
func (a *app) signInCreate(c echo.Context) error {
	email := strings.ToLower(strings.TrimSpace(c.FormValue("email")))
	user, err := a.checkSignIn(c, email, c.FormValue("password"))
	if err == nil {
		err = a.enter(c, user, "a password", nextOf(c))
	}
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSignIn(c, form) })
	}
	return nil
}

// nextOf is the page that was asked for before signing in: it stands in the
// address of the sign-in page, from which the form came.
func nextOf(c echo.Context) string {
	if next := c.FormValue("next"); next != "" {
		return next
	}
	u, err := url.Parse(c.Request().Referer())
	if err != nil || u.Host != c.Request().Host {
		return ""
	}
	return u.Query().Get("next")
}

// checkSignIn is who has that address and that password.
func (a *app) checkSignIn(c echo.Context, email, password string) (db.User, error) {
	if err := a.takeAttempt(c, email); err != nil {
		return db.User{}, err
	}
	ctx := c.Request().Context()
	user, err := db.UserByEmail(ctx, a.pool, email)
	if err != nil && !isKind(err, platform.KindNotFound) {
		return db.User{}, err
	}
	hash := ""
	if err == nil {
		noteActor(c, user.Email)
		if user.PasswordHash != nil {
			hash = *user.PasswordHash
		}
	}
	right, err := a.passwords.matches(ctx, hash, password)
	if err != nil {
		return db.User{}, err
	}
	if !right {
		return db.User{}, platform.Invalid("", "This e-mail address and password do not belong together. Try again, or get a link that sets a new password.")
	}
	a.byAccount.forgive(email)
	return user, nil
}

// takeAttempt counts an attempt to sign in, by address and by account.
func (a *app) takeAttempt(c echo.Context, account string) error {
	wait, ok := a.byAddress.allow(a.clientIP(c))
	if ok && account != "" {
		wait, ok = a.byAccount.allow(account)
	}
	if ok {
		return nil
	}
	return tooMany(wait, "attempts to sign in")
}

// tooMany is the refusal of one more of what there were too many of, with the
// moment from which on there is another.
func tooMany(wait time.Duration, what string) error {
	wait = wait.Truncate(time.Second) + time.Second
	return platform.TooMany(wait, "There were too many %s. Try again in %s, at %s.", what, waitWords(wait), time.Now().Add(wait).UTC().Format("15:04:05 UTC"))
}

// waitWords is a wait as a person says it.
func waitWords(wait time.Duration) string {
	n, unit := int(wait.Seconds()), "second"
	if n > 90 {
		n, unit = (n+59)/60, "minute"
	}
	if n == 1 {
		return "1 " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}
