package main

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// provedFor is how long a proof of who somebody is lasts for what destroys.
const provedFor = 10 * time.Minute

// proofPassword is the field in which the password is typed again.
const proofPassword = "proof_password"

// proofPasskey is the field in which the browser sends what a passkey has signed.
const proofPasskey = "proof_passkey"

// proved lets through whoever has proved within minutes who they are. Everybody
// else gets a page that asks for the proof and holds the form that was sent:
// sending it again, with the proof, carries on. A program proves who it is with
// every request.
func (a *app) proved(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if isAPI(c) || time.Since(visitorOf(c).ProvedAt) < provedFor {
			return next(c)
		}
		if _, err := c.FormParams(); err != nil {
			return err
		}
		if sent := c.Request().PostForm; !sent.Has(proofPassword) && !sent.Has(proofPasskey) {
			noteRefusal(c, platform.Forbidden("The last proof of who it is was more than 10 minutes old; a new one was asked for."))
			c.Response().Status = errorStatus(platform.KindForbidden)
			return a.showProof(c, formOf(c))
		}
		if err := a.proveAgain(c); err != nil {
			return a.refusedForm(c, err, func(form component.Form) error { return a.showProof(c, form) })
		}
		forgetProof(c)
		return next(c)
	}
}

// proofDropped is the field that says that a secret was typed, which the page
// that asks for the proof does not repeat: it has to be typed again.
const proofDropped = "proof_dropped"

// showProof is the page that asks. What was sent goes along, hidden, but for a
// mail server's password.
func (a *app) showProof(c echo.Context, form component.Form) error {
	f, err := a.frame(c, "Confirm that it is you", layout.NavNone)
	if err != nil {
		return err
	}
	view := page.ProofView{
		Form: form, PostURL: c.Request().URL.RequestURI(), Email: visitorOf(c).Email, HasPassword: visitorOf(c).HasPassword,
		Script: a.asset("passkey.js"), Back: component.Link{Text: "Back", URL: "/"},
	}
	if view.Passkey, err = a.hasPasskeyHere(c, visitorOf(c).UserID); err != nil {
		return err
	}
	if a.identities != nil {
		since, err := db.IdentitySince(c.Request().Context(), a.pool, visitorOf(c).UserID, a.identities.Issuer)
		if err != nil {
			return err
		}
		if since != nil {
			view.Provider = a.identities.Host
		}
	}
	if u, err := url.Parse(c.Request().Referer()); err == nil && u.Host == c.Request().Host && u.Path != c.Request().URL.Path {
		view.Back.URL = localPath(u.Path)
	}
	for name, values := range c.Request().PostForm {
		if name == "csrf_token" || name == proofPassword || name == proofPasskey {
			continue
		}
		if name == "smtp_password" {
			if name = proofDropped; c.Request().PostForm.Get("smtp_password") == "" {
				continue
			}
			values = []string{"1"}
		}
		for _, v := range values {
			view.Kept = append(view.Kept, page.KeptField{Name: name, Value: v})
		}
	}
	slices.SortStableFunc(view.Kept, func(x, y page.KeptField) int { return strings.Compare(x.Name, y.Name) })
	return a.render(c, statusOr(c), page.Proof(f, view))
}

// proveAgain checks the proof. The session gets a new token, as after signing in.
func (a *app) proveAgain(c echo.Context) error {
	ctx, v := c.Request().Context(), visitorOf(c)
	if err := a.takeAttempt(c, v.Email); err != nil {
		return err
	}
	user, err := db.UserByID(ctx, a.pool, v.UserID)
	if err != nil {
		return err
	}
	if c.Request().PostForm.Has(proofPasskey) {
		if err := a.provedByPasskey(c, user, c.Request().PostForm.Get(proofPasskey)); err != nil {
			return err
		}
		return a.renewSession(c)
	}
	if user.PasswordHash == nil {
		return platform.Forbidden("You have no password yet. Set one under Settings first.")
	}
	right, err := a.passwords.matches(ctx, *user.PasswordHash, c.Request().PostForm.Get(proofPassword))
	if err != nil {
		return err
	}
	if !right {
		return platform.Invalid(proofPassword, "This is not your password. Type it again.")
	}
	a.byAccount.forgive(v.Email)
	return a.renewSession(c)
}

// forgetProof takes the proof out of the form before anybody else reads it.
func forgetProof(c echo.Context) {
	for _, name := range []string{proofPassword, proofPasskey} {
		c.Request().Form.Del(name)
		c.Request().PostForm.Del(name)
	}
}
