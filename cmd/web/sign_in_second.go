package main

import (
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// secondCookie names the browser of somebody who was right about the first
// factor and is asked for the second.
const secondCookie = "second"

// enter answers a browser whose person was right about the first factor: it is
// signed in and sent to next, or asked for the second factor where there is one.
func (a *app) enter(c echo.Context, user db.User, how, next string) error {
	ctx := c.Request().Context()
	factors, err := db.FactorsOf(ctx, a.pool, user.ID)
	if err != nil {
		return err
	}
	if !factors.Any() {
		if err := a.signIn(c, user, how); err != nil {
			return err
		}
		return seeOther(c, localPath(next))
	}
	token, err := db.CreatePendingSignIn(ctx, a.pool, user.ID, how, next)
	if err != nil {
		return err
	}
	noteActor(c, user.Email)
	noteDetail(c, "With "+how+"; the second factor was asked for.")
	c.SetCookie(a.cookie(secondCookie, token, int(db.PendingLife/time.Second)))
	return seeOther(c, "/sign-in/second")
}

// pending is whom this browser is about to sign in; NotFound for nobody.
func (a *app) pending(c echo.Context) (db.PendingSignIn, string, error) {
	cookie, err := c.Cookie(a.cookieName(secondCookie))
	if err != nil || len(cookie.Value) > 100 {
		return db.PendingSignIn{}, "", platform.NotFound("Sign in with your password first.")
	}
	who, err := db.PendingSignInOf(c.Request().Context(), a.pool, cookie.Value)
	return who, cookie.Value, err
}

// secondShow serves GET /sign-in/second.
func (a *app) secondShow(c echo.Context) error { return a.showSecond(c, formOf(c)) }

func (a *app) showSecond(c echo.Context, form component.Form) error {
	who, _, err := a.pending(c)
	if isKind(err, platform.KindNotFound) {
		return seeOther(c, "/sign-in")
	}
	if err != nil {
		return err
	}
	factors, err := db.FactorsOf(c.Request().Context(), a.pool, who.ID)
	if err != nil {
		return err
	}
	view := page.SignInSecondView{Form: form, Email: who.Email, Host: a.cfg.URL.Host, Authenticator: factors.AuthenticatorSince != nil, Script: a.asset("passkey.js")}
	if view.Passkey, err = a.hasPasskeyHere(c, who.ID); err != nil {
		return err
	}
	return a.render(c, statusOr(c), page.SignInSecond(a.bareFrame(c, "Second factor"), view))
}

// secondCreate serves POST /sign-in/second: a code of the authenticator app,
// a recovery code or a passkey.
func (a *app) secondCreate(c echo.Context) error {
	who, token, err := a.pending(c)
	if isKind(err, platform.KindNotFound) {
		noteRefusal(c, err)
		a.flash(c, component.ToneWarn, failureOf(err, "").Message, component.Link{})
		return seeOther(c, "/sign-in")
	}
	if err != nil {
		return err
	}
	noteActor(c, who.Email)
	var with string
	if answer := c.FormValue("credential"); answer != "" {
		with, err = a.secondByPasskey(c, who.User, answer)
	} else {
		with, err = a.checkSecond(c, who.User, c.FormValue("code"))
	}
	if err == nil {
		err = a.finishSecond(c, who, token, with)
	}
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSecond(c, form) })
	}
	return seeOther(c, localPath(who.Next))
}

// finishSecond signs in who was right about both factors.
func (a *app) finishSecond(c echo.Context, who db.PendingSignIn, token, with string) error {
	if err := db.EndPendingSignIn(c.Request().Context(), a.pool, token); err != nil {
		return err
	}
	a.byFactor.forgive(who.Email)
	c.SetCookie(a.cookie(secondCookie, "", -1))
	return a.signIn(c, who.User, who.How+" and "+with)
}

// checkSecond says what the code was, or refuses it. Both kinds are limited like
// passwords, and each code counts once.
func (a *app) checkSecond(c echo.Context, user db.User, typed string) (with string, err error) {
	ctx := c.Request().Context()
	if err := a.takeFactor(c, user.Email); err != nil {
		return "", err
	}
	code := plainCode(typed)
	if len(code) > 6 {
		used, err := db.UseRecoveryCode(ctx, a.pool, user.ID, code)
		if err != nil {
			return "", err
		}
		if !used {
			return "", platform.Invalid("code", "This is not one of your recovery codes, or it was used before. Each works once; try another one.")
		}
		factors, err := db.FactorsOf(ctx, a.pool, user.ID)
		if err != nil {
			return "", err
		}
		left := component.Plural(factors.RecoveryCodes, "recovery code")
		a.tell(c, user, "A recovery code was used", "Somebody signed in as you with a recovery code. You have "+left+" left.")
		a.flash(c, component.ToneInfo, "You have "+left+" left.", component.Link{Text: "Make new ones", URL: page.FactorPath})
		return "a recovery code", nil
	}
	fits, err := a.spendCode(c, user.ID, code, false)
	if err != nil {
		return "", err
	}
	if !fits {
		return "", platform.Invalid("code", "This code does not fit, or was used before. Each works once and for about a minute: type the one that the app shows next.")
	}
	return "an authenticator app", nil
}

// spendCode is whether code is one of the person's authenticator app that has
// not counted yet; confirm makes the app count from then on.
func (a *app) spendCode(c echo.Context, userID int64, code string, confirm bool) (bool, error) {
	ctx := c.Request().Context()
	app, err := db.AuthenticatorOf(ctx, a.pool, a.sealer, userID)
	if isKind(err, platform.KindNotFound) && !confirm {
		return false, nil
	}
	if err != nil || app.Confirmed == confirm {
		return false, err
	}
	step, fits := authenticatorStep(app.Secret, code, time.Now())
	if !fits {
		return false, nil
	}
	return db.SpendAuthenticatorStep(ctx, a.pool, userID, step, confirm)
}

// takeFactor counts an attempt at a second factor, by address and by account.
func (a *app) takeFactor(c echo.Context, account string) error {
	if err := a.takeAttempt(c, ""); err != nil {
		return err
	}
	if wait, ok := a.byFactor.allow(account); !ok {
		return tooMany(wait, "codes tried")
	}
	return nil
}
