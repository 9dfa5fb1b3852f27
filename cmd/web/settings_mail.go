package main

import (
	"errors"
	"strconv"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/mail"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// mailShow serves GET /settings/mail.
func (a *app) mailShow(c echo.Context) error {
	return a.showMail(c, formOf(c))
}

func (a *app) showMail(c echo.Context, form component.Form) error {
	view := page.SettingsMailView{Nav: settingsNav(c, page.MailPath), Form: form, TestTo: visitorOf(c).Email}
	status, err := db.MailStatusNow(c.Request().Context(), a.pool)
	switch {
	case isKind(err, platform.KindNotFound):
	case err != nil:
		return err
	default:
		view.Set, view.HasPassword, view.LastSentAt, view.LastError, view.LastErrorAt = true, status.HasPassword, status.LastSentAt, status.LastError, status.LastErrorAt
		view.Waiting, view.UpdatedAt, view.UpdatedBy = status.Waiting, status.UpdatedAt, status.UpdatedBy
		if !form.Failed() {
			view.Form.Values = map[string]string{"host": status.Host, "port": strconv.Itoa(status.Port), "tls": status.TLSMode, "user": status.UserName, "from": status.From}
		}
	}
	f, err := a.frame(c, "Mail", layout.NavSettings)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Settings", URL: "/settings"}, component.Link{Text: "Mail"})
	return a.render(c, statusOr(c), page.SettingsMail(f, view))
}

// mailSet serves POST /settings/mail.
func (a *app) mailSet(c echo.Context) error {
	if err := a.setMail(c); err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showMail(c, form) })
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "The mail server is set. Send a test to see whether it works.")
	return seeOther(c, "/settings/mail")
}

func (a *app) setMail(c echo.Context) error {
	input, err := readInput(c)
	if err != nil {
		return err
	}
	if input[proofDropped] != "" && input["smtp_password"] == "" {
		return platform.Invalid("smtp_password", "Type the password again: the page that asked whether it is you does not keep it.")
	}
	ctx := c.Request().Context()
	s, err := mail.ParseSettings(mail.Typed{Host: input["host"], Port: input["port"], TLS: input["tls"], User: input["user"], Password: input["smtp_password"], From: input["from"]})
	if err != nil {
		return err
	}
	noteSubject(c, s.Host)
	if err := a.outgoing.Check(ctx, s.Host, s.Port); err != nil {
		return atField(err, "host")
	}
	if s.User != "" && s.Password == "" {
		if s.Password, err = a.keptMailPassword(c, s); err != nil {
			return err
		}
	}
	return db.SetMailSettings(ctx, a.pool, a.sealer, db.MailSettings{
		Host: s.Host, Port: s.Port, TLSMode: string(s.TLS), UserName: s.User, Password: s.Password, From: s.From}, visitorOf(c).Email)
}

// keptMailPassword is the password that is kept, for the same server and user
// only: with another host it would be sent to whoever runs that.
func (a *app) keptMailPassword(c echo.Context, s mail.Settings) (string, error) {
	kept, err := db.MailSettingsNow(c.Request().Context(), a.pool, a.sealer)
	if err != nil && !isKind(err, platform.KindNotFound) {
		return "", err
	}
	if err != nil || kept.Password == "" || kept.Host != s.Host || kept.Port != s.Port || kept.UserName != s.User {
		return "", platform.Invalid("smtp_password", "Type the password of %s on %s.", s.User, s.Host)
	}
	return kept.Password, nil
}

// mailTest serves POST /settings/mail/test: one mail to whoever asks, now.
func (a *app) mailTest(c echo.Context) error {
	to := visitorOf(c).Email
	noteSubject(c, to)
	err := a.jobs.SendTestMail(c.Request().Context(), to, a.cfg.URL.String())
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error {
			form.Values, form.Errors = map[string]string{}, nil
			form.Summary = "The test was not sent. " + failureOf(err, "").Message
			return a.showMail(c, form)
		})
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "The mail server took the test for "+to+". Look into that mailbox.")
	return seeOther(c, "/settings/mail")
}

// mailRemove serves POST /settings/mail/remove.
func (a *app) mailRemove(c echo.Context) error {
	if err := db.DeleteMailSettings(c.Request().Context(), a.pool); err != nil {
		return err
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "Mail is off. Nobody gets links by mail until a server is set again.")
	return seeOther(c, "/settings/mail")
}

// settingsNav is the row of pages below Settings for the visitor.
func settingsNav(c echo.Context, active string) page.SettingsNav {
	return page.SettingsNav{Active: active, Admin: visitorOf(c).Admin}
}

// atField puts a sentence to the field that it is about.
func atField(err error, field string) error {
	var ours *platform.Error
	if errors.As(err, &ours) && ours.Field == "" {
		at := *ours
		at.Field = field
		return &at
	}
	return err
}
