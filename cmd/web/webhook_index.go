package main

import (
	"net/http"
	"strconv"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/webhook"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// webhookIndex serves GET /settings/webhooks: those that get every notice.
func (a *app) webhookIndex(c echo.Context) error { return a.showWebhooks(c, nil, formOf(c)) }

// appWebhooks serves GET /apps/:app/webhooks: those of the app.
func (a *app) appWebhooks(c echo.Context) error {
	app, err := db.AppByName(c.Request().Context(), a.pool, c.Param("app"))
	if err != nil {
		return err
	}
	return a.showWebhooks(c, &app, formOf(c))
}

func (a *app) showWebhooks(c echo.Context, app *platform.App, form component.Form) error {
	var appID *int64
	view := page.WebhookIndexView{Form: form, PostURL: "/settings/webhooks", Nav: settingsNav(c, page.WebhooksPath)}
	if app != nil {
		appID, view.AppName, view.PostURL = &app.ID, app.Name, appPath(app.Name)+"/webhooks"
	}
	hooks, err := db.ListWebhooks(c.Request().Context(), a.pool, appID)
	if err != nil {
		return err
	}
	if isAPI(c) {
		type hookJSON struct {
			ID   int64  `json:"id"`
			Host string `json:"host"`
			On   bool   `json:"on"`
		}
		list := make([]hookJSON, 0, len(hooks))
		for _, h := range hooks {
			list = append(list, hookJSON{h.ID, h.Host, h.OffAt == nil})
		}
		return c.JSON(http.StatusOK, list)
	}
	for _, h := range hooks {
		view.Rows = append(view.Rows, page.WebhookRow{URL: webhookPath(h.ID), Host: h.Host, Status: webhookStatus(h), OnlyNeeds: h.OnlyNeeds, LastTriedAt: h.LastTriedAt})
	}
	title, active, above := "Webhooks", layout.NavSettings, component.Link{Text: "Settings", URL: "/settings"}
	if app != nil {
		title, active, above = "Webhooks of "+app.Name, layout.NavApps, appLink(app.Name)
	}
	f, err := a.frame(c, title, active)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(above, component.Link{Text: "Webhooks"})
	return a.render(c, statusOr(c), page.WebhookIndex(f, view))
}

func webhookStatus(h db.Webhook) component.Status {
	switch {
	case h.OffAt != nil:
		return component.Status{Tone: component.ToneBad, Word: "Off", Note: h.OffWhy}
	case h.FailingSince != nil:
		return component.Status{Tone: component.ToneWarn, Word: "Fails", Note: "since " + platform.MomentUTC(*h.FailingSince)}
	case h.LastTriedAt == nil:
		return component.Status{Tone: component.ToneInfo, Word: "Nothing sent yet"}
	}
	return component.Status{Tone: component.ToneOK, Word: "Works"}
}

func webhookPath(id int64) string { return "/webhooks/" + strconv.FormatInt(id, 10) }

// webhookCreate serves POST /settings/webhooks.
func (a *app) webhookCreate(c echo.Context) error { return a.createWebhook(c, nil) }

// appWebhookCreate serves POST /apps/:app/webhooks.
func (a *app) appWebhookCreate(c echo.Context) error {
	app, err := db.AppByName(c.Request().Context(), a.pool, c.Param("app"))
	if err != nil {
		return err
	}
	return a.createWebhook(c, &app)
}

func (a *app) createWebhook(c echo.Context, app *platform.App) error {
	ctx := c.Request().Context()
	n := db.NewWebhook{CreatedBy: visitorOf(c).Email}
	if app != nil {
		n.AppID = &app.ID
	}
	id, secret, err := func() (int64, string, error) {
		input, err := readInput(c)
		if err != nil {
			return 0, "", err
		}
		u, err := webhook.ParseURL("url", input["url"])
		if err != nil {
			return 0, "", err
		}
		noteSubject(c, u.Host)
		port := 443
		if u.Scheme == "http" {
			port = 80
		}
		if text := u.Port(); text != "" {
			if port, err = strconv.Atoi(text); err != nil {
				return 0, "", err
			}
		}
		if err := a.outgoing.Check(ctx, u.Hostname(), port); err != nil {
			return 0, "", atField(err, "url")
		}
		n.URL, n.Host, n.Encrypted, n.OnlyNeeds = u.String(), u.Host, u.Scheme == "https", input["which"] == "needs"
		return db.CreateWebhook(ctx, a.pool, a.sealer, n)
	}()
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showWebhooks(c, app, form) })
	}
	if isAPI(c) {
		return c.JSON(http.StatusCreated, map[string]any{"id": id, "secret": secret})
	}
	return a.showWebhook(c, id, secret)
}
