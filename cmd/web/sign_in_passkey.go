package main

import (
	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/labstack/echo/v4"
)

// passkeyOptions serves POST /sign-in/passkey/options: what a browser needs to
// ask for a passkey, as JSON; for "second" one of whoever was right about the
// password.
func (a *app) passkeyOptions(c echo.Context) error {
	if err := a.takeAttempt(c, ""); err != nil {
		return err
	}
	purpose, user := forSignIn, (*db.User)(nil)
	if c.FormValue("purpose") == forSecond {
		who, _, err := a.pending(c)
		if err != nil {
			return err
		}
		purpose, user = forSecond, &who.User
	}
	options, err := a.beginPasskey(c, purpose, user)
	if err != nil {
		return answerJSON(c, err)
	}
	return c.JSON(200, options)
}

// answerJSON is a refusal for the script that asked: the sentence, and no page.
func answerJSON(c echo.Context, err error) error {
	f := failureOf(err, requestID(c))
	if f.Status >= 500 {
		return err
	}
	return c.JSON(f.Status, errorJSON(f))
}

// passkeySignIn serves POST /sign-in/passkey: by a passkey alone. It knows the
// person by what it holds and by what they did to unlock it, so that nothing
// more is asked.
func (a *app) passkeySignIn(c echo.Context) error {
	next := nextOf(c)
	err := a.takeAttempt(c, "")
	var user db.User
	if err == nil {
		user, err = a.usedPasskey(c, forSignIn, nil, c.FormValue("credential"))
	}
	if err == nil {
		err = a.signIn(c, user, "a passkey")
	}
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSignIn(c, form) })
	}
	return seeOther(c, localPath(next))
}

// secondByPasskey is the second factor as a passkey.
func (a *app) secondByPasskey(c echo.Context, user db.User, answer string) (with string, err error) {
	if err := a.takeFactor(c, user.Email); err != nil {
		return "", err
	}
	if _, err := a.usedPasskey(c, forSecond, &user, answer); err != nil {
		return "", err
	}
	return "a passkey", nil
}

// hasPasskeyHere is whether the person has one for the name at which the site is open.
func (a *app) hasPasskeyHere(c echo.Context, userID int64) (bool, error) {
	site := a.passkeySiteOf(c)
	if site.whyNot != "" {
		return false, nil
	}
	list, err := db.ListPasskeys(c.Request().Context(), a.pool, userID)
	for _, k := range list {
		if k.Site == site.name {
			return true, err
		}
	}
	return false, err
}

// proofOptions serves POST /settings/passkeys/options: to prove again who it is.
func (a *app) proofOptions(c echo.Context) error {
	if err := inBrowser(c); err != nil {
		return err
	}
	if err := a.takeAttempt(c, ""); err != nil {
		return err
	}
	user, err := db.UserByID(c.Request().Context(), a.pool, visitorOf(c).UserID)
	if err != nil {
		return err
	}
	options, err := a.beginPasskey(c, forProof, &user)
	if err != nil {
		return answerJSON(c, err)
	}
	return c.JSON(200, options)
}

// provedByPasskey is nil when the answer is of a passkey of the visitor.
func (a *app) provedByPasskey(c echo.Context, user db.User, answer string) error {
	if answer == "" {
		return platform.Invalid("", "The browser gave no passkey. Try again, or type your password.")
	}
	_, err := a.usedPasskey(c, forProof, &user, answer)
	return err
}
