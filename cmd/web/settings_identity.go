package main

import (
	"context"
	"slices"
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// identityUnlink serves POST /settings/provider/unlink: signing in through the
// identity provider opens nothing any more, until it is linked again here.
func (a *app) identityUnlink(c echo.Context) error {
	if err := inBrowser(c); err != nil {
		return err
	}
	if a.identities == nil {
		return noProvider()
	}
	ctx, v := c.Request().Context(), visitorOf(c)
	noteSubject(c, "an account at "+a.identities.Host)
	err := db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		return a.keepWayIn(ctx, tx, c, func() error { return db.UnlinkIdentity(ctx, tx, v.UserID, a.identities.Issuer) })
	})
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSettings(c, settingsForms{factor: form}) })
	}
	done := "Your account at " + a.identities.Host + " is unlinked: it does not sign you in any more."
	if err := a.factorChanged(c, "You cannot sign in through "+a.identities.Host+" any more", done); err != nil {
		return err
	}
	a.flashOK(c, done+" Every other browser is signed out.")
	return seeOther(c, page.FactorPath)
}

// keepWayIn does what act does, and is Conflict when that takes the last with
// which the person can sign in by themselves.
func (a *app) keepWayIn(ctx context.Context, tx pgx.Tx, c echo.Context, act func() error) error {
	had, err := a.hasWayIn(ctx, tx, c)
	if err != nil {
		return err
	}
	if err := act(); err != nil {
		return err
	}
	left, err := a.hasWayIn(ctx, tx, c)
	if err == nil && had && !left {
		err = platform.Conflict("This is all that you sign in with. Set a password on this page first, or add a passkey; then it can go.")
	}
	return err
}

// hasWayIn counts passkeys for the name in the public address, and for the one at
// which the site is open.
func (a *app) hasWayIn(ctx context.Context, q db.Querier, c echo.Context) (bool, error) {
	v := visitorOf(c)
	return db.HasWayIn(ctx, q, v.UserID, a.issuerFor(v.Email), []string{a.cfg.URL.Hostname(), a.passkeySiteOf(c).name})
}

// issuerFor is that of the identity provider; empty where none is set, or where it
// lets nobody in who has such an address.
func (a *app) issuerFor(email string) string {
	if a.identities == nil {
		return ""
	}
	if _, domain, _ := strings.Cut(email, "@"); !slices.Contains(a.identities.Domains, domain) {
		return ""
	}
	return a.identities.Issuer
}
