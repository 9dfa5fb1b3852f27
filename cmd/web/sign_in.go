package main

import (
	"fmt"
	"net/url"
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
	return a.render(c, statusOr(c), page.SignIn(a.bareFrame(c, "Sign in"), page.SignInView{Form: form, Host: a.cfg.URL.Host}))
}

// signInCreate serves POST /sign-in. Both a wrong address and a wrong password
// give the same answer after the same work.
func (a *app) signInCreate(c echo.Context) error {
	email := strings.ToLower(strings.TrimSpace(c.FormValue("email")))
	err := a.signInWithPassword(c, email, c.FormValue("password"))
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSignIn(c, form) })
	}
	return seeOther(c, localPath(nextOf(c)))
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

func (a *app) signInWithPassword(c echo.Context, email, password string) error {
	if err := a.takeAttempt(c, email); err != nil {
		return err
	}
	ctx := c.Request().Context()
	user, err := db.UserByEmail(ctx, a.pool, email)
	if err != nil && !isKind(err, platform.KindNotFound) {
		return err
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
		return err
	}
	if !right {
		return platform.Invalid("", "This e-mail address and password do not belong together. Try again, or get a new link from an administrator (changeover sign-in-link).")
	}
	a.byAccount.forgive(email)
	return a.signIn(c, user)
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
	return platform.Forbidden("There were too many attempts to sign in. Wait %s and try again.", wait.Round(time.Second)+time.Second)
}

// signIn gives the browser a session of its own; the one it had before, if
// any, ends, so that nobody can have planted it.
func (a *app) signIn(c echo.Context, user db.User) error {
	ctx := c.Request().Context()
	if old := a.sessionToken(c); old != "" {
		if err := db.EndSession(ctx, a.pool, old); err != nil {
			return err
		}
	}
	token, session, err := db.CreateSession(ctx, a.pool, user.ID, a.clientIP(c), c.Request().UserAgent())
	if err != nil {
		return err
	}
	access, err := a.accessOf(ctx, user)
	if err != nil {
		return err
	}
	noteActor(c, user.Email)
	a.setSession(c, token)
	c.SetCookie(a.cookie(formCookie, "", -1))
	c.Set(visitorKey, visitor{
		UserID: user.ID, Email: user.Email, Admin: user.IsAdmin, Access: access, HasPassword: user.PasswordHash != nil,
		SessionID: session.Handle, CSRF: session.CSRFToken,
	})
	return nil
}

// signInLinkShow serves GET /sign-in/:token. Looking does not use the link up:
// mail scanners look, too.
func (a *app) signInLinkShow(c echo.Context) error {
	form := component.Form{CSRF: visitorOf(c).CSRF, Values: map[string]string{}}
	return a.showSignInLink(c, form)
}

func (a *app) showSignInLink(c echo.Context, form component.Form) error {
	token := c.Param("token")
	view, title := page.SignInLinkView{Form: form, Host: a.cfg.URL.Host, Token: token}, "Sign in with your link"
	user, err := db.SignInLinkUser(c.Request().Context(), a.pool, token)
	switch {
	case isKind(err, platform.KindNotFound):
		c.Response().Status = 404
		view.Dead, title = failureOf(err, "").Message, "This link does not work"
	case err != nil:
		return err
	default:
		view.Email, view.HasPassword = user.Email, user.PasswordHash != nil
	}
	return a.render(c, statusOr(c), page.SignInLink(a.bareFrame(c, title), view))
}

// signInLinkUse serves POST /sign-in/:token: the first use sets a password.
func (a *app) signInLinkUse(c echo.Context) error {
	if err := a.useSignInLink(c); err != nil {
		if isKind(err, platform.KindNotFound) {
			noteRefusal(c, err)
			return a.signInLinkShow(c)
		}
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSignInLink(c, form) })
	}
	return seeOther(c, "/databases")
}

func (a *app) useSignInLink(c echo.Context) error {
	if err := a.takeAttempt(c, ""); err != nil {
		return err
	}
	ctx, token := c.Request().Context(), c.Param("token")
	user, err := db.SignInLinkUser(ctx, a.pool, token)
	if err != nil {
		return err
	}
	// What was typed is checked and hashed before the link is used up: a
	// password that is too short must not cost the link.
	hash := ""
	if user.PasswordHash == nil {
		password := c.FormValue("password")
		if err := checkPassword("password", password, user.Email); err != nil {
			return err
		}
		if password != c.FormValue("password_again") {
			return platform.Invalid("password_again", "The two passwords differ. Type the same one twice.")
		}
		if hash, err = a.passwords.hash(ctx, password); err != nil {
			return err
		}
	}
	if user, err = db.UseSignInLink(ctx, a.pool, token); err != nil {
		return err
	}
	if hash != "" {
		if err := db.SetPassword(ctx, a.pool, user.ID, hash); err != nil {
			return err
		}
		user.PasswordHash = &hash
	}
	return a.signIn(c, user)
}

// signOut serves POST /sign-out.
func (a *app) signOut(c echo.Context) error {
	if token := a.sessionToken(c); token != "" {
		if err := db.EndSession(c.Request().Context(), a.pool, token); err != nil {
			return err
		}
	}
	session := visitorOf(c).SessionID
	a.hub.dropSessions(func(b *browser) bool { return session != "" && b.session == session })
	a.clearSession(c)
	return seeOther(c, "/sign-in")
}

// signInLink is the public address of a one-time link.
func signInLink(cfg config, token string) string { return cfg.Link("/sign-in/" + token) }

func queryEscape(s string) string { return url.QueryEscape(s) }

// linkLife is how long a printed sign-in link is good.
const linkLife = 24 * time.Hour

// firstAdmin is the first user's address until it is signed in with: nobody
// has typed one yet.
const firstAdmin = "admin@localhost"

func signInBlock(cfg config, link, state string) string {
	line := strings.Repeat("─", 76)
	return fmt.Sprintf("\n%s\n  Changeover is ready at %s\n  Sign in once, within 24 hours, with this link:\n\n  %s\n\n  State: %s\n%s\n\n", line, cfg.URL, link, state, line)
}
