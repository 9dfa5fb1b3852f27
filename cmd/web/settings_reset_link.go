package main

import (
	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// resetLinkNew serves GET /settings/reset-link.
func (a *app) resetLinkNew(c echo.Context) error {
	form := formOf(c)
	form.Values = map[string]string{"email": c.QueryParam("email")}
	return a.showResetLink(c, form, "", "")
}

func (a *app) showResetLink(c echo.Context, form component.Form, link, email string) error {
	people, err := db.ListPeople(c.Request().Context(), a.pool)
	if err != nil {
		return err
	}
	mail, err := db.MailIsSet(c.Request().Context(), a.pool)
	if err != nil {
		return err
	}
	view := page.SettingsResetLinkView{Nav: settingsNav(c, page.PeoplePath), Form: form, Link: link, For: email, MailSet: mail}
	for _, p := range people {
		if p.Active() {
			view.People = append(view.People, p.Email)
		}
	}
	f, err := a.frame(c, "Reset links", layout.NavSettings)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Settings", URL: "/settings"}, component.Link{Text: "People", URL: page.PeoplePath}, component.Link{Text: "Reset links"})
	return a.render(c, statusOr(c), page.SettingsResetLink(f, view))
}

// resetLinkCreate serves POST /settings/reset-link: a link that sets a new
// password for somebody, shown once in the answer to this very request, or
// mailed and not shown at all.
func (a *app) resetLinkCreate(c echo.Context) error {
	input, err := readInput(c)
	if err != nil {
		return err
	}
	if visitorOf(c).APIToken {
		return platform.Forbidden("Links that reset a password are made in the browser, under Settings.")
	}
	ctx, by := c.Request().Context(), visitorOf(c).Email
	user, err := db.UserByEmail(ctx, a.pool, input["email"])
	if isKind(err, platform.KindNotFound) {
		err = platform.Invalid("email", "There is no user %s. Choose one from the list.", shortened(input["email"]))
	}
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showResetLink(c, form, "", "") })
	}
	noteSubject(c, user.Email)
	if person, err := db.PersonByID(ctx, a.pool, user.ID); err != nil || !person.Active() {
		if err == nil {
			err = platform.Invalid("email", "%s is deactivated. Reactivate them first, under People.", user.Email)
		}
		return a.refusedForm(c, err, func(form component.Form) error { return a.showResetLink(c, form, "", "") })
	}
	clears := isOn(input["clears_factors"])
	if clears && input["send"] == "mail" {
		err := platform.Invalid("clears_factors", "A link that takes the second factor away is not mailed: whoever reads the mailbox would need nothing else. Make it here and hand it over.")
		return a.refusedForm(c, err, func(form component.Form) error { return a.showResetLink(c, form, "", "") })
	}
	if input["send"] == "mail" {
		if err := a.mailResetLink(ctx, user.Email, by); err != nil {
			return err
		}
		a.flashOK(c, "The link is on its way to "+user.Email+".")
		return seeOther(c, page.ResetLinkPath)
	}
	token, err := db.CreateResetLink(ctx, a.pool, user.ID, linkLife, by)
	if err != nil {
		return err
	}
	also := ""
	if clears {
		if err := db.LetLinkClearFactors(ctx, a.pool, token); err != nil {
			return err
		}
		noteDetail(c, "It takes the second factor away, too.")
		also = " It takes your second factor away, too."
	}
	a.tell(c, user, "A link that sets your password", by+" made a link that sets a new password for you, and gives it to you in person."+also)
	return a.showResetLink(c, formOf(c), signInLink(a.cfg, token), user.Email)
}
