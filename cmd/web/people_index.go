package main

import (
	"strconv"
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// peopleIndex serves GET /settings/people.
func (a *app) peopleIndex(c echo.Context) error {
	if isAPI(c) {
		return a.peopleJSON(c)
	}
	return a.showPeople(c, formOf(c), madeInvitation{})
}

func (a *app) showPeople(c echo.Context, form component.Form, made madeInvitation) error {
	ctx, v := c.Request().Context(), visitorOf(c)
	view := page.PeopleView{Nav: settingsNav(c, page.PeoplePath), Form: form, NewLink: linkOf(made)}
	if v.Email == firstAdmin {
		view.FirstAddress = firstAdmin
	}
	people, err := db.ListPeople(ctx, a.pool)
	if err != nil {
		return err
	}
	for _, p := range people {
		view.People = append(view.People, page.PersonRow{
			URL: personPath(p.ID), Email: p.Email, Name: p.Name, Admin: p.IsAdmin, Self: p.ID == v.UserID,
			Apps: namesInShort(p.AppNames), LastSignInAt: p.LastSignInAt, State: personState(p),
		})
	}
	invitations, err := db.ListInvitations(ctx, a.pool, 0)
	if err != nil {
		return err
	}
	for _, i := range invitations {
		view.Invitations = append(view.Invitations, invitationRow(i, page.PeoplePath+"/invitations/"))
	}
	f, err := a.frame(c, "People", layout.NavSettings)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Settings", URL: "/settings"}, component.Link{Text: "People"})
	return a.render(c, statusOr(c), page.People(f, view))
}

// peopleJSON is everybody, for programs.
func (a *app) peopleJSON(c echo.Context) error {
	people, err := db.ListPeople(c.Request().Context(), a.pool)
	if err != nil {
		return err
	}
	list := make([]map[string]any, 0, len(people))
	for _, p := range people {
		roles := map[string]string{}
		for i, name := range p.AppNames {
			roles[name] = p.AppRoles[i]
		}
		list = append(list, map[string]any{
			"id": p.ID, "email": p.Email, "name": p.Name, "administrator": p.IsAdmin, "active": p.Active(), "last_sign_in_at": p.LastSignInAt, "roles": roles,
		})
	}
	return c.JSON(200, list)
}

func personPath(id int64) string { return page.PeoplePath + "/" + strconv.FormatInt(id, 10) }

// personState is whether somebody may sign in, in a word.
func personState(p db.Person) component.Status {
	switch {
	case !p.Active():
		return component.Status{Tone: component.ToneOff, Word: "Deactivated"}
	case p.LastSignInAt == nil:
		return component.Status{Tone: component.ToneWait, Word: "Never signed in"}
	}
	return component.Status{Tone: component.ToneOK, Word: "Active"}
}

// namesInShort is the first names of a list, and how many more there are.
func namesInShort(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + " and " + strconv.Itoa(len(names)-most) + " more"
}

// personInvite serves POST /settings/people.
func (a *app) personInvite(c echo.Context) error {
	input, err := readInput(c)
	if err != nil {
		return err
	}
	made, err := a.invitePerson(c, input)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showPeople(c, form, madeInvitation{}) })
	}
	return a.showPeople(c, formOf(c), made)
}

func (a *app) invitePerson(c echo.Context, input map[string]string) (madeInvitation, error) {
	email, asAdmin := strings.ToLower(input["email"]), isOn(input["admin"])
	noteSubject(c, shortened(email))
	if asAdmin {
		noteDetail(c, "As an administrator.")
	}
	_, err := db.UserByEmail(c.Request().Context(), a.pool, email)
	if err == nil {
		return madeInvitation{}, platform.Invalid("email", "%s has an account already. Open it in the list.", shortened(email))
	}
	if !isKind(err, platform.KindNotFound) {
		return madeInvitation{}, err
	}
	return a.invite(c, db.NewInvitation{Email: email, IsAdmin: asAdmin, InvitedBy: visitorOf(c).UserID})
}
