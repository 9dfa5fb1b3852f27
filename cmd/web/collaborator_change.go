package main

import (
	"context"
	"strings"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// collaboratorAdd serves POST /apps/:app/collaborators: a role for somebody who
// is here, an invitation for somebody who is not.
func (a *app) collaboratorAdd(c echo.Context) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	input, err := readInput(c)
	if err != nil {
		return err
	}
	made, err := a.addCollaborator(c, app, input)
	switch {
	case err != nil:
		return a.refusedForm(c, err, func(form component.Form) error { return a.showApp(c, app, appPage{peopleForm: form}) })
	case made.link != "":
		return a.showApp(c, app, appPage{invited: made})
	case isAPI(c):
		return c.NoContent(204)
	}
	return seeOther(c, appPath(app.Name)+"#collaborators")
}

// addCollaborator gives the role, or makes an invitation, which it returns.
func (a *app) addCollaborator(c echo.Context, app platform.App, input map[string]string) (madeInvitation, error) {
	ctx, v := c.Request().Context(), visitorOf(c)
	email := strings.ToLower(input["email"])
	noteSubject(c, app.Name+" "+shortened(email))
	role, err := platform.ParseRole(input["role"])
	if err != nil {
		return madeInvitation{}, err
	}
	noteDetail(c, "Role "+role.String()+".")
	user, err := db.UserByEmail(ctx, a.pool, email)
	if isKind(err, platform.KindNotFound) {
		noteDetail(c, "Invited, with the role "+role.String()+".")
		return a.invite(c, db.NewInvitation{Email: email, AppID: &app.ID, Role: role, InvitedBy: v.UserID})
	}
	if err != nil {
		return madeInvitation{}, err
	}
	person, err := db.PersonByID(ctx, a.pool, user.ID)
	if err != nil {
		return madeInvitation{}, err
	}
	if !person.Active() {
		return madeInvitation{}, platform.Invalid("email", "%s is deactivated. Ask an administrator to reactivate them first.", person.Email)
	}
	if had, err := a.memberOf(ctx, app.ID, user.ID); err == nil {
		return madeInvitation{}, platform.Invalid("email", "%s has the role %s here already. Change it in the list.", had.Email, had.Role)
	}
	if err := db.SetMember(ctx, a.pool, app.ID, user.ID, role, v.Email); err != nil {
		return madeInvitation{}, err
	}
	a.tellRole(c, user, app, v.Email+" gave you the role "+role.String()+" on the app "+app.Name+".")
	a.flashOK(c, user.Email+" has the role "+role.String()+" on "+app.Name+" now.")
	return madeInvitation{}, nil
}

// tellRole mails somebody what they may do now, where mail is set.
func (a *app) tellRole(c echo.Context, user db.User, app platform.App, sentence string) {
	err := a.jobs.SendMail(c.Request().Context(), jobs.Mail{
		To: user.Email, Subject: "Your role on " + app.Name, Body: greeting(user) + sentence + "\n\n" + a.cfg.Link(appPath(app.Name)) + "\n",
	})
	if err != nil && !isKind(err, platform.KindNotFound) {
		a.log.Warn("a mail about a role was not kept", "request", requestID(c), "error", err)
	}
}

// memberOf is the user's role on the app; NotFound where there is none.
func (a *app) memberOf(ctx context.Context, appID, userID int64) (db.Member, error) {
	members, err := db.ListMembers(ctx, a.pool, appID)
	if err != nil {
		return db.Member{}, err
	}
	for _, m := range members {
		if m.UserID == userID {
			return m, nil
		}
	}
	return db.Member{}, platform.NotFound("This person has no role on the app any more. Reload the page.")
}

// changeCollaborator does act to the role of the person in the path.
func (a *app) changeCollaborator(c echo.Context, act func(ctx context.Context, tx pgx.Tx, app platform.App, member db.Member) (says string, err error)) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	member, err := a.memberOf(ctx, app.ID, id)
	if err != nil {
		return err
	}
	noteSubject(c, app.Name+" "+member.Email)
	says := ""
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) (err error) {
		says, err = act(ctx, tx, app, member)
		return err
	})
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error {
			form.Values = nil // of a row, not of the form below the list
			return a.showApp(c, app, appPage{peopleForm: form})
		})
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, says)
	if member.UserID == visitorOf(c).UserID && !visitorOf(c).Admin {
		return seeOther(c, a.afterOwnChange(ctx, app, member.UserID))
	}
	return seeOther(c, appPath(app.Name)+"#collaborators")
}

// afterOwnChange is where somebody goes who has changed their own role: to the
// app only while they see it.
func (a *app) afterOwnChange(ctx context.Context, app platform.App, userID int64) string {
	if _, err := a.memberOf(ctx, app.ID, userID); err != nil {
		return "/apps"
	}
	return appPath(app.Name) + "#collaborators"
}

// collaboratorRole serves POST /apps/:app/collaborators/:id/role.
func (a *app) collaboratorRole(c echo.Context) error {
	return a.changeCollaborator(c, func(ctx context.Context, tx pgx.Tx, app platform.App, member db.Member) (string, error) {
		input, err := readInput(c)
		if err != nil {
			return "", err
		}
		role, err := platform.ParseRole(input["role"])
		if err != nil {
			return "", err
		}
		noteDetail(c, "From "+member.Role.String()+" to "+role.String()+".")
		return member.Email + " has the role " + role.String() + " on " + app.Name + " now.", db.ChangeMember(ctx, tx, app.ID, member.UserID, role)
	})
}

// collaboratorRemove serves POST /apps/:app/collaborators/:id/remove.
func (a *app) collaboratorRemove(c echo.Context) error {
	return a.changeCollaborator(c, func(ctx context.Context, tx pgx.Tx, app platform.App, member db.Member) (string, error) {
		noteDetail(c, "The role was "+member.Role.String()+".")
		return member.Email + " has no role on " + app.Name + " any more.", db.RemoveMember(ctx, tx, app.ID, member.UserID)
	})
}

// appLeaveConfirm serves GET /apps/:app/leave.
func (a *app) appLeaveConfirm(c echo.Context) error { return a.showAppLeave(c, formOf(c)) }

func (a *app) showAppLeave(c echo.Context, form component.Form) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	ctx, v := c.Request().Context(), visitorOf(c)
	view := page.ConfirmView{
		Form: form, Title: "Leave " + app.Name, Lead: "You give up your own role on the app.",
		Consequences: []component.Check{
			note(component.ToneWarn, "The app", "and its databases are not shown to you any more; their pages answer as if they did not exist."),
			note(component.ToneInfo, "Coming back", "takes somebody who manages the app, or an administrator."),
		},
		Button: "Leave " + app.Name, Destructive: true, PostURL: appPath(app.Name) + "/leave",
		Back: component.Link{Text: "Back to " + app.Name, URL: appPath(app.Name)},
	}
	last, err := db.LastManager(ctx, a.pool, app.ID, v.UserID)
	if err != nil {
		return err
	}
	if _, err := a.memberOf(ctx, app.ID, v.UserID); isKind(err, platform.KindNotFound) {
		view.Refusal = "You have no role of your own on " + app.Name + ": you see it as an administrator."
	} else if err != nil {
		return err
	}
	if last {
		view.Refusal = "Nobody else manages " + app.Name + ". Give somebody else the role manage first, or destroy the app."
		view.WayOut = component.Link{Text: "Go to the collaborators.", URL: appPath(app.Name) + "#collaborators"}
	}
	f, err := a.frame(c, view.Title, layout.NavApps)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Apps", URL: "/apps"}, appLink(app.Name), component.Link{Text: "Leave"})
	return a.render(c, statusOr(c), page.Confirm(f, view))
}

// appLeave serves POST /apps/:app/leave.
func (a *app) appLeave(c echo.Context) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	ctx, v := c.Request().Context(), visitorOf(c)
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error { return db.RemoveMember(ctx, tx, app.ID, v.UserID) })
	if isKind(err, platform.KindNotFound) {
		err = platform.Conflict("You have no role of your own on %s.", app.Name)
	}
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showAppLeave(c, form) })
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "You have left "+app.Name+".")
	return seeOther(c, "/apps")
}
