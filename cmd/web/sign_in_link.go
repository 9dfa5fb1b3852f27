package main

import (
	"fmt"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

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
		view.Email, view.HasPassword, view.Resets = user.Email, !user.SetsPassword(), user.Resets
		if user.Resets {
			title = "Set a new password"
		}
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
	return nil
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
	noteActor(c, user.Email)
	// What was typed is checked and hashed before the link is used up: a
	// password that is too short must not cost the link.
	hash := ""
	if user.SetsPassword() {
		if hash, err = a.newPassword(c, user.Email); err != nil {
			return err
		}
	}
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		if _, err := db.UseSignInLink(ctx, tx, token); err != nil || hash == "" {
			return err
		}
		if err := db.SpendResetLinks(ctx, tx, user.ID); err != nil {
			return err
		}
		if user.ClearsFactors {
			if err := db.DeleteFactors(ctx, tx, user.ID); err != nil {
				return err
			}
		}
		if err := db.SetPassword(ctx, tx, user.ID, hash); err != nil {
			return err
		}
		_, err := db.EndAllSessions(ctx, tx, user.ID, "")
		return err
	})
	if err != nil {
		return err
	}
	if hash != "" {
		a.hub.dropSessions(func(b *browser) bool { return b.user == user.ID })
		a.byAccount.forgive(user.Email)
		a.tellIf(c, user.PasswordHash != nil, user.User, "Your password was changed", "Your password was changed with a link that resets it, and every browser was signed out.")
		user.PasswordHash = &hash
	}
	// A link by mail is no way around the second factor. One that was printed on
	// the machine is: whoever runs the program there always gets in.
	if user.Resets {
		return a.enter(c, user.User, "a link", "/databases")
	}
	if err := a.signIn(c, user.User, "a link"); err != nil {
		return err
	}
	return seeOther(c, "/databases")
}

// newPassword is the hash of what was typed twice as a new password.
func (a *app) newPassword(c echo.Context, email string) (string, error) {
	password := c.FormValue("password")
	if err := checkPassword("password", password, email); err != nil {
		return "", err
	}
	if password != c.FormValue("password_again") {
		return "", platform.Invalid("password_again", "The two passwords differ. Type the same one twice.")
	}
	return a.passwords.hash(c.Request().Context(), password)
}

// signInLink is the public address of a one-time link.
func signInLink(cfg config, token string) string { return cfg.Link("/sign-in/" + token) }

// linkLife is how long a printed sign-in link is good.
const linkLife = 24 * time.Hour

// firstAdmin is the first user's address until it is signed in with: nobody
// has typed one yet.
const firstAdmin = "admin@localhost"

func signInBlock(cfg config, link, state string) string {
	line := strings.Repeat("─", 76)
	return fmt.Sprintf("\n%s\n  Changeover is ready at %s\n  Sign in once, within 24 hours, with this link:\n\n  %s\n\n  State: %s\n%s\n\n", line, cfg.URL, link, state, line)
}
