package main

import (
	"context"
	"strconv"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// changePerson does act to the person in the path and says what it did.
func (a *app) changePerson(c echo.Context, act func(ctx context.Context, tx pgx.Tx, p db.Person) (says string, err error)) error {
	person, err := a.findPerson(c)
	if err != nil {
		return err
	}
	ctx, says := c.Request().Context(), ""
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) (err error) {
		says, err = act(ctx, tx, person)
		return err
	})
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error {
			if form.Summary == "" {
				return a.showPerson(c, person, form, component.Form{})
			}
			return a.showPerson(c, person, component.Form{}, form)
		})
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, says)
	return seeOther(c, personPath(person.ID))
}

// notByToken keeps programs from what gives a way in.
func notByToken(c echo.Context) error {
	if visitorOf(c).APIToken {
		return platform.Forbidden("This gives a way in, so it is done in the browser, under Settings, People.")
	}
	return nil
}

// personAdmin serves POST /settings/people/:id/admin.
func (a *app) personAdmin(c echo.Context) error {
	if err := notByToken(c); err != nil {
		return err
	}
	return a.changePerson(c, func(ctx context.Context, tx pgx.Tx, p db.Person) (string, error) {
		input, err := readInput(c)
		if err != nil {
			return "", err
		}
		if isOn(input["on"]) {
			noteDetail(c, "Made an administrator.")
			return p.Email + " is an administrator now.", db.SetAdmin(ctx, tx, p.ID, true)
		}
		noteDetail(c, "No administrator any more.")
		return p.Email + " is no administrator any more.", db.SetAdmin(ctx, tx, p.ID, false)
	})
}

// personEmail serves POST /settings/people/:id/email. Links that were sent to
// the address of before set no password any more.
func (a *app) personEmail(c echo.Context) error {
	if err := notByToken(c); err != nil {
		return err
	}
	return a.changePerson(c, func(ctx context.Context, tx pgx.Tx, p db.Person) (string, error) {
		input, err := readInput(c)
		if err != nil {
			return "", err
		}
		if err := db.SetUserEmail(ctx, tx, p.ID, input["email"]); err != nil {
			return "", err
		}
		noteDetail(c, "To "+shortened(input["email"])+".")
		a.tell(c, db.User{Email: p.Email, Name: p.Name}, "Your address was changed", visitorOf(c).Email+" changed the address with which you sign in to "+shortened(input["email"])+".")
		return "The address is changed. " + p.Email + " cannot be signed in with any more.", db.SpendResetLinks(ctx, tx, p.ID)
	})
}

// personEndSessions serves POST /settings/people/:id/end-sessions.
func (a *app) personEndSessions(c echo.Context) error {
	return a.changePerson(c, func(ctx context.Context, tx pgx.Tx, p db.Person) (string, error) {
		n, err := db.EndEverySession(ctx, tx, p.ID)
		ended := strconv.FormatInt(n, 10) + " sessions ended."
		if n == 1 {
			ended = "1 session ended."
		}
		noteDetail(c, ended)
		return p.Email + " is signed out everywhere; " + ended, err
	})
}

// personDeactivate serves POST /settings/people/:id/deactivate. The open pages
// of the person, here and in other processes, hear of it by the live channel.
func (a *app) personDeactivate(c echo.Context) error {
	return a.changePerson(c, func(ctx context.Context, tx pgx.Tx, p db.Person) (string, error) {
		if p.ID == visitorOf(c).UserID {
			return "", platform.Conflict("You cannot deactivate yourself. Another administrator can.")
		}
		return p.Email + " is deactivated, and has no way in any more.", db.Deactivate(ctx, tx, p.ID, visitorOf(c).Email)
	})
}

// personReactivate serves POST /settings/people/:id/reactivate.
func (a *app) personReactivate(c echo.Context) error {
	if err := notByToken(c); err != nil {
		return err
	}
	return a.changePerson(c, func(ctx context.Context, tx pgx.Tx, p db.Person) (string, error) {
		return p.Email + " may sign in again.", db.Reactivate(ctx, tx, p.ID)
	})
}
