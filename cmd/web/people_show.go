package main

import (
	"changeover/internal/db"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// personShow serves GET /settings/people/:id.
func (a *app) personShow(c echo.Context) error {
	person, err := a.findPerson(c)
	if err != nil {
		return err
	}
	return a.showPerson(c, person, component.Form{}, component.Form{})
}

// findPerson is the person in the path.
func (a *app) findPerson(c echo.Context) (db.Person, error) {
	id, err := number(c, "id")
	if err != nil {
		return db.Person{}, err
	}
	person, err := db.PersonByID(c.Request().Context(), a.pool, id)
	if err == nil {
		noteSubject(c, person.Email)
	}
	return person, err
}

// showPerson is the page; form is that of the address, acts what one of the
// buttons was refused with.
func (a *app) showPerson(c echo.Context, p db.Person, form, acts component.Form) error {
	ctx, v := c.Request().Context(), visitorOf(c)
	view := page.PersonView{
		Nav: settingsNav(c, page.PeoplePath), URL: personPath(p.ID), Email: p.Email, Name: p.Name, Admin: p.IsAdmin, Self: p.ID == v.UserID,
		State: personState(p), CreatedAt: p.CreatedAt, LastSignInAt: p.LastSignInAt, DeactivatedAt: p.DeactivatedAt, DeactivatedBy: p.DeactivatedBy,
		HasPassword: p.HasPassword, Tokens: p.Tokens, Form: withToken(c, form), Acts: withToken(c, acts),
	}
	for i, name := range p.AppNames {
		view.Apps = append(view.Apps, page.PersonApp{App: appLink(name), Role: p.AppRoles[i]})
	}
	sessions, err := db.ListSessions(ctx, a.pool, p.ID, db.SessionIdleLimit, db.SessionAbsoluteLimit)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		view.Sessions = append(view.Sessions, page.SessionRow{ID: s.Handle, Browser: browserName(s.UserAgent), IP: s.IP, CreatedAt: s.CreatedAt, LastSeenAt: s.LastSeenAt})
	}
	others, err := a.otherAdmin(c, p.ID)
	if err != nil {
		return err
	}
	if view.Self {
		view.OffRefusal = "This is you. Another administrator can do it."
	} else if p.IsAdmin && !others {
		view.OffRefusal = "This is the only administrator who may sign in. Make somebody else an administrator first."
	}
	if p.IsAdmin && !others {
		view.AdminRefusal = "This is the only administrator who may sign in. Make somebody else an administrator first."
	}
	f, err := a.frame(c, p.Email, layout.NavSettings)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Settings", URL: "/settings"}, component.Link{Text: "People", URL: page.PeoplePath}, component.Link{Text: p.Email})
	return a.render(c, statusOr(c), page.PersonShow(f, view))
}

// otherAdmin is whether somebody else is an administrator who may sign in.
func (a *app) otherAdmin(c echo.Context, id int64) (bool, error) {
	people, err := db.ListPeople(c.Request().Context(), a.pool)
	for _, p := range people {
		if p.IsAdmin && p.Active() && p.ID != id {
			return true, nil
		}
	}
	return false, err
}
