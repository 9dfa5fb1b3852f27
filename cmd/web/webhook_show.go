package main

import (
	"net/http"
	"strconv"

	"changeover/internal/db"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// deliveriesAPage is how many deliveries a webhook's page lists.
const deliveriesAPage = 50

// webhookShow serves GET /webhooks/:id.
func (a *app) webhookShow(c echo.Context) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	return a.showWebhook(c, id, "")
}

// showWebhook is the page of a webhook; secret is shown in the one answer that
// has made it.
func (a *app) showWebhook(c echo.Context, id int64, secret string) error {
	ctx := c.Request().Context()
	hook, err := db.WebhookByID(ctx, a.pool, id)
	if err != nil {
		return err
	}
	url, _, err := db.WebhookSecrets(ctx, a.pool, a.sealer, id)
	if err != nil {
		return err
	}
	deliveries, err := db.ListDeliveries(ctx, a.pool, id, deliveriesAPage)
	if err != nil {
		return err
	}
	view := page.WebhookShowView{Path: webhookPath(id), Host: hook.Host, URL: url, Encrypted: hook.Encrypted, Secret: secret, AppName: hook.AppName, OnlyNeeds: hook.OnlyNeeds,
		CreatedBy: hook.CreatedBy, CreatedAt: hook.CreatedAt, Status: webhookStatus(hook), Off: hook.OffAt != nil}
	for _, d := range deliveries {
		row := page.DeliveryRow{At: d.CreatedAt, What: d.Subject, Attempts: d.Attempts, HTTPStatus: d.Status, TookMS: d.TookMS, Excerpt: d.Excerpt, Problem: d.Problem}
		if d.NoticeID == nil {
			row.What = "Test"
		} else {
			row.WhatURL, row.AgainURL = noticePath(*d.NoticeID), webhookPath(id)+"/deliveries/"+strconv.FormatInt(d.ID, 10)+"/again"
		}
		switch d.State {
		case "taken":
			row.Status = component.Status{Tone: component.ToneOK, Word: "Taken"}
		case "failed":
			row.Status = component.Status{Tone: component.ToneBad, Word: "Failed"}
		default:
			row.Status = component.Status{Tone: component.ToneWait, Word: "Waits"}
		}
		view.Deliveries = append(view.Deliveries, row)
	}
	if isAPI(c) {
		return c.JSON(http.StatusOK, map[string]any{"id": hook.ID, "host": hook.Host, "on": hook.OffAt == nil, "deliveries": len(deliveries)})
	}
	active, above := layout.NavSettings, []component.Link{{Text: "Settings", URL: "/settings"}, {Text: "Webhooks", URL: page.WebhooksPath}}
	if hook.AppName != "" {
		active, above = layout.NavApps, []component.Link{appLink(hook.AppName), {Text: "Webhooks", URL: appPath(hook.AppName) + "/webhooks"}}
	}
	f, err := a.frame(c, "Webhook to "+hook.Host, active)
	if err != nil {
		return err
	}
	f.Breadcrumbs = append(above, component.Link{Text: hook.Host})
	c.Response().Header().Set("Cache-Control", "no-store")
	return a.render(c, statusOr(c), page.WebhookShow(f, view))
}

// webhookAct runs an act on the webhook of the path, says what came of it, and
// goes back to its page.
func (a *app) webhookAct(c echo.Context, act func(hook db.Webhook) (tone component.Tone, said string, err error)) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	hook, err := db.WebhookByID(c.Request().Context(), a.pool, id)
	if err != nil {
		return err
	}
	noteSubject(c, hook.Host)
	tone, said, err := act(hook)
	if err != nil {
		return err
	}
	if isAPI(c) {
		return c.JSON(http.StatusOK, map[string]any{"ok": tone == component.ToneOK, "said": said})
	}
	a.flash(c, tone, said, component.Link{})
	return seeOther(c, webhookPath(id))
}

// webhookTest serves POST /webhooks/:id/test: one delivery, now.
func (a *app) webhookTest(c echo.Context) error {
	return a.webhookAct(c, func(hook db.Webhook) (component.Tone, string, error) {
		d, err := a.jobs.SendTestWebhook(c.Request().Context(), hook.ID)
		if err != nil || d.Problem != "" {
			return component.ToneBad, "The test was not taken. " + d.Problem, err
		}
		return component.ToneOK, hook.Host + " took the test: it answered " + strconv.Itoa(d.Status) + " after " + strconv.Itoa(d.TookMS) + " ms.", nil
	})
}

// webhookOn serves POST /webhooks/:id/on.
func (a *app) webhookOn(c echo.Context) error {
	return a.webhookAct(c, func(hook db.Webhook) (component.Tone, string, error) {
		return component.ToneOK, "The webhook is on again. What it missed is sent again from the list below.", db.TurnWebhookOn(c.Request().Context(), a.pool, hook.ID)
	})
}

// deliveryAgain serves POST /webhooks/:id/deliveries/:delivery/again.
func (a *app) deliveryAgain(c echo.Context) error {
	return a.webhookAct(c, func(hook db.Webhook) (component.Tone, string, error) {
		delivery, err := number(c, "delivery")
		if err != nil {
			return "", "", err
		}
		return component.ToneOK, "It is sent once more. Reload the page to see what came of it.", a.jobs.Redeliver(c.Request().Context(), hook.ID, delivery)
	})
}

// webhookSecret serves POST /webhooks/:id/secret: a new one, shown in this answer.
func (a *app) webhookSecret(c echo.Context) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	secret, err := db.RotateWebhookSecret(c.Request().Context(), a.pool, a.sealer, id)
	if err != nil {
		return err
	}
	if isAPI(c) {
		return c.JSON(http.StatusOK, map[string]string{"secret": secret})
	}
	return a.showWebhook(c, id, secret)
}

// webhookRemove serves POST /webhooks/:id/remove.
func (a *app) webhookRemove(c echo.Context) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	hook, err := db.WebhookByID(ctx, a.pool, id)
	if err != nil {
		return err
	}
	noteSubject(c, hook.Host)
	if err := db.DeleteWebhook(ctx, a.pool, id); err != nil {
		return err
	}
	if isAPI(c) {
		return c.NoContent(http.StatusNoContent)
	}
	a.flashOK(c, "The webhook to "+hook.Host+" is removed.")
	if hook.AppName != "" {
		return seeOther(c, appPath(hook.AppName)+"/webhooks")
	}
	return seeOther(c, page.WebhooksPath)
}
