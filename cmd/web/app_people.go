package main

import (
	"context"
	"strconv"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// appMembers are who has a role on the app and, for those who manage it, who is
// invited.
func (a *app) appMembers(ctx context.Context, may platform.Role, id int64) ([]db.Member, []db.Invitation, error) {
	members, err := db.ListMembers(ctx, a.pool, id)
	if err != nil || may < platform.RoleManage {
		return members, nil, err
	}
	invitations, err := db.ListInvitations(ctx, a.pool, id)
	return members, invitations, err
}

// appPeople is the page's part about them; what invitations are made with is for
// those who manage the app.
func (a *app) appPeople(c echo.Context, app platform.App, p appPage, members []db.Member, invitations []db.Invitation) (people page.AppPeople, err error) {
	ctx, v := c.Request().Context(), visitorOf(c)
	people = page.AppPeople{Form: withToken(c, p.peopleForm), Admin: v.Admin, NewLink: linkOf(p.invited)}
	there := map[string]bool{}
	for _, m := range members {
		there[m.Email] = true
		people.Members = append(people.Members, page.MemberRow{
			UserID: m.UserID, Email: m.Email, Name: m.Name, Active: m.Active, Self: m.UserID == v.UserID, Role: m.Role, AddedBy: m.AddedBy, CreatedAt: m.CreatedAt,
		})
	}
	if v.Access.On(app.ID) < platform.RoleManage {
		return people, nil
	}
	if people.MailSet, err = db.MailIsSet(ctx, a.pool); err != nil {
		return people, err
	}
	if v.Admin { // who else is here is not for everybody
		everybody, err := db.ListPeople(ctx, a.pool)
		if err != nil {
			return people, err
		}
		for _, p := range everybody {
			if p.Active() && !there[p.Email] {
				people.Known = append(people.Known, p.Email)
			}
		}
	}
	for _, i := range invitations {
		row := invitationRow(i, appPath(app.Name)+"/invitations/")
		row.To = i.RoleWord
		people.Invitations = append(people.Invitations, row)
	}
	return people, nil
}

// invitationRow is an invitation in a list; revoke is the path before its id.
func invitationRow(i db.Invitation, revoke string) page.InvitationRow {
	row := page.InvitationRow{ID: i.ID, Email: i.Email, InvitedBy: i.InvitedBy, ExpiresAt: i.ExpiresAt, RevokeURL: revoke + strconv.FormatInt(i.ID, 10) + "/revoke"}
	switch {
	case i.AppID != nil:
		row.To = i.AppName + ", " + i.RoleWord
	case i.IsAdmin:
		row.To = "administrator"
	default:
		row.To = "no app yet"
	}
	return row
}

func linkOf(i madeInvitation) page.NewInvitationLink {
	return page.NewInvitationLink{URL: i.link, For: i.email, Mailed: i.mailed}
}
