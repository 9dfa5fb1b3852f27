package main

import (
	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// noticeMailShow serves GET /settings/notices.
func (a *app) noticeMailShow(c echo.Context) error { return a.showNoticeMail(c, formOf(c)) }

func (a *app) showNoticeMail(c echo.Context, form component.Form) error {
	ctx, v := c.Request().Context(), visitorOf(c)
	choices, err := db.MailChoicesOf(ctx, a.pool, v.UserID)
	if err != nil {
		return err
	}
	if isAPI(c) {
		return c.JSON(200, map[string]platform.MailChoice{"view": choices.View, "operate": choices.Operate, "manage": choices.Manage, "admin": choices.Admin})
	}
	view := page.SettingsNoticesView{Nav: settingsNav(c, page.NoticesPath), Form: form, Email: v.Email, Admin: v.Admin,
		View: string(choices.View), Operate: string(choices.Operate), Manage: string(choices.Manage), AdminChoice: string(choices.Admin)}
	if view.MailIsSet, err = db.MailIsSet(ctx, a.pool); err != nil {
		return err
	}
	f, err := a.frame(c, "Notices by mail", layout.NavSettings)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Settings", URL: "/settings"}, component.Link{Text: "Notices by mail"})
	return a.render(c, statusOr(c), page.SettingsNotices(f, view))
}

// noticeMailSet serves POST /settings/notices. A role that is not sent stays.
func (a *app) noticeMailSet(c echo.Context) error {
	if err := a.setNoticeMail(c); err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showNoticeMail(c, form) })
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "What is mailed to you is set.")
	return seeOther(c, page.NoticesPath)
}

func (a *app) setNoticeMail(c echo.Context) error {
	input, err := readInput(c)
	if err != nil {
		return err
	}
	ctx, user := c.Request().Context(), visitorOf(c).UserID
	choices, err := db.MailChoicesOf(ctx, a.pool, user)
	if err != nil {
		return err
	}
	for field, choice := range map[string]*platform.MailChoice{"view": &choices.View, "operate": &choices.Operate, "manage": &choices.Manage, "admin": &choices.Admin} {
		word, sent := input[field]
		if !sent {
			continue
		}
		if *choice, err = platform.ParseMailChoice(field, word); err != nil {
			return err
		}
	}
	return db.SetMailChoices(ctx, a.pool, user, choices)
}
