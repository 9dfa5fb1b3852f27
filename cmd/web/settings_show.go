package main

import (
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// settingsShow serves GET /settings.
func (a *app) settingsShow(c echo.Context) error {
	return a.showSettings(c, formOf(c), formOf(c), "")
}

func (a *app) showSettings(c echo.Context, passwordForm, tokenForm component.Form, newToken string) error {
	ctx, v := c.Request().Context(), visitorOf(c)
	view := page.SettingsView{
		Nav: settingsNav(c, page.AccountPath), Email: v.Email, PasswordForm: passwordForm, HasPassword: v.HasPassword, TokenForm: tokenForm, NewToken: newToken, URL: a.cfg.URL.String(),
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
		view.Tokens = append(view.Tokens, page.TokenRow{ID: t.ID, Name: t.Name, CreatedAt: t.CreatedAt, LastUsedAt: t.LastUsedAt, ExpiresAt: t.ExpiresAt})
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
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSettings(c, form, formOf(c), "") })
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
	password := c.FormValue("password")
	if err := checkPassword("password", password, user.Email); err != nil {
		return err
	}
	if password != c.FormValue("password_again") {
		return platform.Invalid("password_again", "The two passwords differ. Type the same one twice.")
	}
	hash, err := a.passwords.hash(ctx, password)
	if err != nil {
		return err
	}
	if err := db.SetPassword(ctx, a.pool, user.ID, hash); err != nil {
		return err
	}
	token, session, err := db.RotateSession(ctx, a.pool, a.sessionToken(c))
	if err != nil {
		return err
	}
	a.setSession(c, token)
	if _, err := db.EndAllSessions(ctx, a.pool, user.ID, session.Handle); err != nil {
		return err
	}
	a.hub.dropSessions(func(b *browser) bool { return b.user == user.ID })
	return nil
}

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

// tokenCreate serves POST /settings/tokens. The token is shown once, in the
// answer to this very request, and never again.
func (a *app) tokenCreate(c echo.Context) error {
	input, err := readInput(c)
	if err != nil {
		return err
	}
	v := visitorOf(c)
	name := strings.TrimSpace(input["token_name"])
	if name == "" {
		err := platform.Invalid("token_name", "Give the token a name that says which program uses it.")
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSettings(c, formOf(c), form, "") })
	}
	noteSubject(c, shortened(name))
	token, made, err := db.CreateAPIToken(c.Request().Context(), a.pool, v.UserID, name, 0)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	if isAPI(c) {
		return c.JSON(201, map[string]any{"id": made.ID, "name": made.Name, "token": token})
	}
	return a.showSettings(c, formOf(c), formOf(c), token)
}

// tokenRevoke serves POST /settings/tokens/:id/revoke.
func (a *app) tokenRevoke(c echo.Context) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	if err := db.DeleteAPIToken(c.Request().Context(), a.pool, visitorOf(c).UserID, id); err != nil {
		return err
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "The token is revoked; programs that use it are refused from now on.")
	return seeOther(c, "/settings")
}
