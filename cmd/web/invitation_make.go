package main

import (
	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/views/page"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// madeInvitation is an invitation right after it was made. The link is shown
// in this one answer.
type madeInvitation struct {
	link, email string
	mailed      bool
}

// mostEmail is the longest address that mail knows.
const mostEmail = 254

// invite makes an invitation and, where mail is set, mails it in the same
// transaction. The link is for the page that shows it once.
func (a *app) invite(c echo.Context, n db.NewInvitation) (madeInvitation, error) {
	ctx, v := c.Request().Context(), visitorOf(c)
	if v.APIToken {
		return madeInvitation{}, platform.Forbidden("%s has no account here, and invitations are made in the browser.", shortened(n.Email))
	}
	if len(n.Email) > mostEmail {
		return madeInvitation{}, platform.Invalid("email", "An e-mail address has at most %d characters. Check it.", mostEmail)
	}
	if wait, ok := a.byInviter.allow(v.Email); !ok {
		return madeInvitation{}, tooMany(wait, "invitations")
	}
	mail, err := db.MailIsSet(ctx, a.pool)
	if err != nil {
		return madeInvitation{}, err
	}
	if wait, ok := a.byMailbox.allow(n.Email); mail && !ok {
		return madeInvitation{}, tooMany(wait, "mails to this address")
	}
	var made madeInvitation
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		token, invitation, err := db.CreateInvitation(ctx, tx, n)
		if err != nil {
			return err
		}
		made = madeInvitation{link: a.cfg.Link("/invitations/" + token), email: invitation.Email}
		err = a.jobs.SendMailTx(ctx, tx, jobs.Mail{
			To: invitation.Email, Subject: "An invitation from " + v.Email, GoodFor: db.InvitationLife,
			Body: "Hello,\n\n" + v.Email + " invites you " + invitedTo(invitation) + ", on " + a.cfg.URL.String() + ".\n\n" + made.link +
				"\n\nThe link works once, until " + invitation.ExpiresAt.UTC().Format("2 January 2006, 15:04 UTC") + ". If you do not know what this is about, nothing needs to be done.\n",
		})
		made.mailed = err == nil
		if isKind(err, platform.KindNotFound) {
			err = nil // no mail server is set
		}
		return err
	})
	if err != nil {
		return madeInvitation{}, err
	}
	return made, nil
}

// invitedTo is to what an invitation is, as part of a sentence.
func invitedTo(i db.Invitation) string {
	switch {
	case i.AppID != nil:
		return "to the app " + i.AppName + " with the role " + i.RoleWord
	case i.IsAdmin:
		return "to Changeover, as an administrator"
	}
	return "to Changeover"
}

// invitationRevoke serves POST /apps/:app/invitations/:id/revoke.
func (a *app) invitationRevoke(c echo.Context) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	return a.revokeInvitation(c, app.ID, app.Name+" ", appPath(app.Name)+"#collaborators")
}

// personInvitationRevoke serves POST /settings/people/invitations/:id/revoke.
func (a *app) personInvitationRevoke(c echo.Context) error {
	return a.revokeInvitation(c, 0, "", page.PeoplePath+"#invitations")
}

// revokeInvitation ends the invitation in the path; appID 0 is any.
func (a *app) revokeInvitation(c echo.Context, appID int64, subject, back string) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	email, err := db.RevokeInvitation(c.Request().Context(), a.pool, appID, id)
	if err != nil {
		return err
	}
	noteSubject(c, subject+email)
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "The invitation of "+email+" is revoked; its link does not work any more.")
	return seeOther(c, back)
}
