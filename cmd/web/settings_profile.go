package main

import (
	"unicode/utf8"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// mostName is more than any name, in characters.
const mostName = 100

// nameSet serves POST /settings/name.
func (a *app) nameSet(c echo.Context) error {
	input, err := readInput(c)
	if err != nil {
		return err
	}
	name := cleanName(input["person_name"])
	if utf8.RuneCountInString(name) > mostName {
		err = platform.Invalid("person_name", "The name is longer than %d characters. Make it shorter.", mostName)
	} else {
		err = db.SetUserName(c.Request().Context(), a.pool, visitorOf(c).UserID, name)
	}
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSettings(c, settingsForms{name: form}) })
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "Your name is changed.")
	return seeOther(c, "/settings")
}

// emailSet serves POST /settings/email: an administrator's own. Nobody else
// chooses the address, since it is what others are recognized by.
func (a *app) emailSet(c echo.Context) error {
	if err := a.setEmail(c); err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSettings(c, settingsForms{email: form}) })
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "Your address is changed. Sign in with it from now on.")
	return seeOther(c, "/settings")
}

func (a *app) setEmail(c echo.Context) error {
	input, err := readInput(c)
	if err != nil {
		return err
	}
	ctx, v := c.Request().Context(), visitorOf(c)
	if v.APIToken {
		return platform.Forbidden("The address is changed in the browser, under Settings.")
	}
	old, err := db.UserByID(ctx, a.pool, v.UserID)
	if err != nil {
		return err
	}
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		if err := db.SetUserEmail(ctx, tx, v.UserID, input["email"]); err != nil {
			return err
		}
		return db.SpendResetLinks(ctx, tx, v.UserID) // they are in the mailbox of before
	})
	if err != nil {
		return err
	}
	noteDetail(c, "From "+old.Email+".")
	a.tell(c, old, "Your address was changed", "The address with which you sign in was changed to "+shortened(input["email"])+".")
	return nil
}
