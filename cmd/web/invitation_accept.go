package main

import (
	"strings"
	"unicode/utf8"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// invitationPath is below which the links of invitations are; no log keeps the rest.
const invitationPath = "/invitations/"

// invitationShow serves GET /invitations/:token. Looking does not use it up.
func (a *app) invitationShow(c echo.Context) error { return a.showInvitation(c, formOf(c)) }

func (a *app) showInvitation(c echo.Context, form component.Form) error {
	ctx, token, v := c.Request().Context(), c.Param("token"), visitorOf(c)
	view, title := page.InvitationView{Form: form, Host: a.cfg.URL.Host, Token: token, SignedInAs: v.Email}, "Your invitation"
	invitation, err := db.FindInvitation(ctx, a.pool, token)
	if err == nil {
		view.Email, view.By, view.To, view.ExpiresAt = invitation.Email, invitation.InvitedBy, invitedTo(invitation), invitation.ExpiresAt
		title = "Invitation of " + invitation.Email + " to " + or(invitation.AppName, "Changeover")
		view.HasAccount, err = a.hasAccount(c, invitation.Email)
	}
	switch {
	case isKind(err, platform.KindNotFound), isKind(err, platform.KindForbidden):
		f := failureOf(err, "")
		view.Dead, title = f.Message, "This invitation does not work"
		if !form.Failed() {
			c.Response().Status = f.Status
		}
	case err != nil:
		return err
	}
	return a.render(c, statusOr(c), page.Invitation(a.bareFrame(c, title), view))
}

// hasAccount is whether whoever is invited has an account; Forbidden for one
// that is deactivated.
func (a *app) hasAccount(c echo.Context, email string) (bool, error) {
	ctx := c.Request().Context()
	user, err := db.UserByEmail(ctx, a.pool, email)
	if isKind(err, platform.KindNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	person, err := db.PersonByID(ctx, a.pool, user.ID)
	if err == nil && !person.Active() {
		err = platform.Forbidden("The account of %s is deactivated. Ask an administrator to reactivate it.", email)
	}
	return true, err
}

// invitationAccept serves POST /invitations/:token: by whoever is signed in
// with its address, or by somebody new, who chooses a name and a password.
func (a *app) invitationAccept(c echo.Context) error {
	invitation, err := a.acceptInvitation(c)
	switch {
	case isKind(err, platform.KindNotFound):
		noteRefusal(c, err)
		return a.invitationShow(c)
	case err != nil:
		return a.refusedForm(c, err, func(form component.Form) error { return a.showInvitation(c, form) })
	case invitation.AppID != nil:
		return seeOther(c, appPath(invitation.AppName))
	}
	return seeOther(c, "/databases")
}

func (a *app) acceptInvitation(c echo.Context) (db.Invitation, error) {
	if visitorOf(c).APIToken {
		return db.Invitation{}, platform.Forbidden("Invitations are accepted in the browser.")
	}
	if err := a.takeAttempt(c, ""); err != nil {
		return db.Invitation{}, err
	}
	ctx, token, v := c.Request().Context(), c.Param("token"), visitorOf(c)
	invitation, err := db.FindInvitation(ctx, a.pool, token)
	if err != nil {
		return invitation, err
	}
	noteActor(c, invitation.Email)
	noteSubject(c, strings.TrimSpace(invitation.AppName+" "+invitation.Email))
	if invitation.AppID != nil {
		noteApps(c, *invitation.AppID)
		noteDetail(c, "Role "+invitation.RoleWord+", invited by "+invitation.InvitedBy+".")
	}
	has, err := a.hasAccount(c, invitation.Email)
	switch {
	case err != nil:
		return invitation, err
	case v.UserID != 0 && v.Email != invitation.Email:
		return invitation, platform.Forbidden("This invitation is for %s, and you are signed in as %s. Sign out first.", invitation.Email, v.Email)
	case v.UserID != 0:
		err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
			_, err := db.AcceptInvitation(ctx, tx, token, v.UserID)
			return err
		})
		return invitation, err
	case has:
		return invitation, platform.Forbidden("%s has an account here. Sign in with it, then accept.", invitation.Email)
	}
	return invitation, a.joinByInvitation(c, token, invitation)
}

// joinByInvitation makes the account of somebody new. What was typed is checked
// and hashed before the link is used up.
func (a *app) joinByInvitation(c echo.Context, token string, invitation db.Invitation) error {
	ctx := c.Request().Context()
	name := cleanName(c.FormValue("person_name"))
	if utf8.RuneCountInString(name) > mostName {
		return platform.Invalid("person_name", "The name is longer than %d characters. Make it shorter.", mostName)
	}
	hash, err := a.newPassword(c, invitation.Email)
	if err != nil {
		return err
	}
	var user db.User
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		if user, err = db.CreateUser(ctx, tx, invitation.Email, false); err != nil {
			return err
		}
		if err := db.SetUserName(ctx, tx, user.ID, name); err != nil {
			return err
		}
		if err := db.SetPassword(ctx, tx, user.ID, hash); err != nil {
			return err
		}
		if _, err = db.AcceptInvitation(ctx, tx, token, user.ID); err != nil {
			return err
		}
		user, err = db.UserByID(ctx, tx, user.ID)
		return err
	})
	if err != nil {
		return err
	}
	detail, _ := c.Get(detailKey).(string) // signing in says another
	defer noteDetail(c, detail)
	return a.signIn(c, user, "an invitation")
}

// cleanName is a name without what is before, behind and doubled between its words.
func cleanName(name string) string { return strings.Join(strings.Fields(name), " ") }
