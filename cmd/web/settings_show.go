package main

import (
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// settingsShow serves GET /settings.
func (a *app) settingsShow(c echo.Context) error {
	return a.showSettings(c, settingsForms{})
}

// settingsForms are the forms of the page of which one was refused; the others
// are as they are at first. newToken is shown in this one answer.
type settingsForms struct {
	password, token, name, email, passkey, factor component.Form
	newToken                                      string
}

func (a *app) showSettings(c echo.Context, forms settingsForms) error {
	ctx, v := c.Request().Context(), visitorOf(c)
	view := page.SettingsView{
		Nav: settingsNav(c, page.AccountPath), Email: v.Email, Name: v.Name, HasPassword: v.HasPassword, NewToken: forms.newToken, URL: a.cfg.URL.String(), MayChangeEmail: v.Admin,
		PasswordForm: withToken(c, forms.password), TokenForm: withToken(c, forms.token), NameForm: withToken(c, forms.name), EmailForm: withToken(c, forms.email),
	}
	factors, err := db.FactorsOf(ctx, a.pool, v.UserID)
	if err != nil {
		return err
	}
	if view.Factor, err = a.factorView(c, factors, forms); err != nil {
		return err
	}
	sessions, err := db.ListSessions(ctx, a.pool, v.UserID, db.SessionIdleLimit, db.SessionAbsoluteLimit)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		view.Sessions = append(view.Sessions, page.SessionRow{
			ID: s.Handle, Current: s.Handle == v.SessionID, Browser: browserName(s.UserAgent), IP: s.IP, CreatedAt: s.CreatedAt, LastSeenAt: s.LastSeenAt,
		})
	}
	tokens, err := db.ListAPITokens(ctx, a.pool, v.UserID)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		view.Tokens = append(view.Tokens, page.TokenRow{ID: t.ID, Name: t.Name, ReadOnly: t.Scope == db.ScopeRead, Ended: t.ExpiresAt != nil && t.ExpiresAt.Before(time.Now()), CreatedAt: t.CreatedAt, LastUsedAt: t.LastUsedAt, ExpiresAt: t.ExpiresAt})
	}
	f, err := a.frame(c, "Settings", layout.NavSettings)
	if err != nil {
		return err
	}
	return a.render(c, statusOr(c), page.Settings(f, view))
}

// browserName is what a user agent calls itself, for a person to recognize.
func browserName(agent string) string {
	name := "a browser"
	for _, known := range []struct{ mark, name string }{{"Edg/", "Edge"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}} {
		if strings.Contains(agent, known.mark) {
			name = known.name
			break
		}
	}
	for _, known := range []struct{ mark, name string }{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS", "macOS"}, {"Linux", "Linux"}} {
		if strings.Contains(agent, known.mark) {
			return name + " on " + known.name
		}
	}
	return name
}

// passwordSet serves POST /settings/password. Every other session of the user
// ends, and this one gets a new token.
func (a *app) passwordSet(c echo.Context) error {
	if err := a.setPassword(c); err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSettings(c, settingsForms{password: form}) })
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "The password is changed, and every other browser is signed out.")
	return seeOther(c, "/settings")
}

func (a *app) setPassword(c echo.Context) error {
	ctx, v := c.Request().Context(), visitorOf(c)
	if v.APIToken {
		return platform.Forbidden("A password is changed in the browser, under Settings.")
	}
	user, err := db.UserByID(ctx, a.pool, v.UserID)
	if err != nil {
		return err
	}
	if user.PasswordHash != nil {
		if err := a.takeAttempt(c, user.Email); err != nil {
			return err
		}
		right, err := a.passwords.matches(ctx, *user.PasswordHash, c.FormValue("current"))
		if err != nil {
			return err
		}
		if !right {
			return platform.Invalid("current", "This is not your current password. Type it again.")
		}
		a.byAccount.forgive(user.Email)
	}
	if user.PasswordHash == nil && time.Since(v.ProvedAt) > provedFor {
		return platform.Forbidden("You have no password yet, and it is more than 10 minutes ago that you proved who you are. Sign out, sign in again, and set one then.")
	}
	hash, err := a.newPassword(c, user.Email)
	if err != nil {
		return err
	}
	var token string
	var renewed db.Session
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error { // no way in of before outlives the password
		if err := db.SetPassword(ctx, tx, user.ID, hash); err != nil {
			return err
		}
		made, session, err := db.RotateSession(ctx, tx, a.sessionToken(c))
		if err != nil {
			return err
		}
		token, renewed = made, session
		if _, err := db.EndAllSessions(ctx, tx, user.ID, session.Handle); err != nil {
			return err
		}
		return db.SpendResetLinks(ctx, tx, user.ID)
	})
	if err != nil {
		return err
	}
	a.renewed(c, token, renewed)
	a.dropOthers(c)
	a.tellIf(c, user.PasswordHash != nil, user, "Your password was changed", "Your password was changed under Settings, and every other browser was signed out.")
	return nil
}

// withToken is the form with what ties it to the visitor.
func withToken(c echo.Context, form component.Form) component.Form {
	form.CSRF = visitorOf(c).CSRF
	return form
}
