package main

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// inBrowser is nil for a person; a program changes nobody's factors.
func inBrowser(c echo.Context) error {
	if visitorOf(c).APIToken {
		return platform.Forbidden("What somebody signs in with is changed in the browser, under Settings.")
	}
	return nil
}

// authenticatorBegin serves POST /settings/authenticator/begin: a secret that
// counts for nothing until a code of it has come back.
func (a *app) authenticatorBegin(c echo.Context) error {
	if err := inBrowser(c); err != nil {
		return err
	}
	secret, err := newAuthenticator()
	if err != nil {
		return err
	}
	if err := db.BeginAuthenticator(c.Request().Context(), a.pool, a.sealer, visitorOf(c).UserID, secret); err != nil {
		return err
	}
	return seeOther(c, page.AuthenticatorPath)
}

// authenticatorShow serves GET /settings/authenticator: the picture and the
// field for the first code.
func (a *app) authenticatorShow(c echo.Context) error { return a.showAuthenticator(c, formOf(c)) }

func (a *app) showAuthenticator(c echo.Context, form component.Form) error {
	if err := inBrowser(c); err != nil {
		return err
	}
	v := visitorOf(c)
	app, err := db.AuthenticatorOf(c.Request().Context(), a.pool, a.sealer, v.UserID)
	if isKind(err, platform.KindNotFound) || err == nil && app.Confirmed {
		return seeOther(c, page.FactorPath)
	}
	if err != nil {
		return err
	}
	picture, err := authenticatorPicture(app.Secret, v.Email, a.cfg.URL.Hostname())
	if err != nil {
		return err
	}
	f, err := a.settingsFrame(c, "Authenticator app")
	if err != nil {
		return err
	}
	return a.render(c, statusOr(c), page.SettingsAuthenticator(f, page.SettingsAuthenticatorView{Form: form, Picture: picture, Secret: inGroups(app.Secret), Email: v.Email}))
}

// settingsFrame is the frame of a page below Settings.
func (a *app) settingsFrame(c echo.Context, title string) (layout.Frame, error) {
	f, err := a.frame(c, title, layout.NavSettings)
	f.Breadcrumbs = crumbs(component.Link{Text: "Settings", URL: "/settings"}, component.Link{Text: title})
	return f, err
}

// authenticatorConfirm serves POST /settings/authenticator: the first code makes
// the app count. Whoever had no second factor before gets recovery codes, shown
// in the answer to this very request.
func (a *app) authenticatorConfirm(c echo.Context) error {
	if err := a.confirmAuthenticator(c); err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showAuthenticator(c, form) })
	}
	return a.firstFactor(c, "An authenticator app was added", "From now on a code of your authenticator app is asked for after your password.")
}

func (a *app) confirmAuthenticator(c echo.Context) error {
	if err := inBrowser(c); err != nil {
		return err
	}
	v := visitorOf(c)
	if err := a.takeFactor(c, v.Email); err != nil {
		return err
	}
	fits, err := a.spendCode(c, v.UserID, plainCode(c.FormValue("code")), true)
	if isKind(err, platform.KindNotFound) {
		return platform.Conflict("This took longer than 15 minutes. Start again under Settings, Second factor.")
	}
	if err == nil && !fits {
		err = platform.Invalid("code", "This code does not fit. Type the six digits that the app shows now; if they never fit, check that the clock of the device is right.")
	}
	if err == nil {
		a.byFactor.forgive(v.Email)
	}
	return err
}

// firstFactor is what follows a new factor: the other browsers are signed out,
// and whoever has no recovery codes gets some.
func (a *app) firstFactor(c echo.Context, subject, sentence string) error {
	ctx, v := c.Request().Context(), visitorOf(c)
	factors, err := db.FactorsOf(ctx, a.pool, v.UserID)
	if err != nil {
		return err
	}
	var codes []string
	if factors.RecoveryCodes == 0 {
		err := db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
			var err error
			codes, err = db.NewRecoveryCodes(ctx, tx, v.UserID)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := a.factorChanged(c, subject, sentence); err != nil {
		return err
	}
	if codes == nil {
		a.flashOK(c, sentence)
		return seeOther(c, page.FactorPath)
	}
	return a.showRecoveryCodes(c, codes, sentence)
}

// factorChanged signs every other browser out, gives this one a new session
// token, and tells the person.
func (a *app) factorChanged(c echo.Context, subject, sentence string) error {
	ctx, v := c.Request().Context(), visitorOf(c)
	user, err := db.UserByID(ctx, a.pool, v.UserID)
	if err != nil {
		return err
	}
	if err := a.renewSession(c); err != nil {
		return err
	}
	if _, err := db.EndAllSessions(ctx, a.pool, v.UserID, visitorOf(c).SessionID); err != nil {
		return err
	}
	a.dropOthers(c)
	a.tell(c, user, subject, sentence+" Every other browser was signed out.")
	return nil
}

func (a *app) showRecoveryCodes(c echo.Context, codes []string, sentence string) error {
	f, err := a.settingsFrame(c, "Recovery codes")
	if err != nil {
		return err
	}
	return a.render(c, statusOr(c), page.SettingsRecovery(f, page.SettingsRecoveryView{Codes: codes, Done: sentence}))
}

// authenticatorRemove serves POST /settings/authenticator/remove.
func (a *app) authenticatorRemove(c echo.Context) error {
	if err := inBrowser(c); err != nil {
		return err
	}
	ctx, v := c.Request().Context(), visitorOf(c)
	err := db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		if err := db.DeleteAuthenticator(ctx, tx, v.UserID); err != nil {
			return err
		}
		return a.dropRecovery(ctx, tx, v.UserID)
	})
	if err != nil {
		return err
	}
	const done = "The authenticator app is turned off."
	if err := a.factorChanged(c, "Your authenticator app was turned off", done); err != nil {
		return err
	}
	a.flashOK(c, done+" Every other browser is signed out.")
	return seeOther(c, page.FactorPath)
}

// dropRecovery takes the recovery codes away with the last factor.
func (a *app) dropRecovery(ctx context.Context, tx pgx.Tx, userID int64) error {
	factors, err := db.FactorsOf(ctx, tx, userID)
	if err != nil || factors.Any() {
		return err
	}
	return db.DeleteRecoveryCodes(ctx, tx, userID)
}

// recoveryCreate serves POST /settings/recovery-codes: new codes in place of the
// old ones, shown once.
func (a *app) recoveryCreate(c echo.Context) error {
	if err := inBrowser(c); err != nil {
		return err
	}
	ctx, v := c.Request().Context(), visitorOf(c)
	factors, err := db.FactorsOf(ctx, a.pool, v.UserID)
	if err != nil {
		return err
	}
	if !factors.Any() {
		return platform.Conflict("Recovery codes stand in for a second factor, and you have none yet. Set one up first, under Settings.")
	}
	var codes []string
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		var err error
		codes, err = db.NewRecoveryCodes(ctx, tx, v.UserID)
		return err
	})
	if err != nil {
		return err
	}
	const done = "Your recovery codes were replaced; those of before are worth nothing."
	if err := a.factorChanged(c, "New recovery codes", done); err != nil {
		return err
	}
	return a.showRecoveryCodes(c, codes, done)
}
