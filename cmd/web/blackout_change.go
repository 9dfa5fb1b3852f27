package main

import (
	"context"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// blackoutNew serves GET /blackouts/new.
func (a *app) blackoutNew(c echo.Context) error {
	form := formOf(c)
	form.Values["app"] = c.QueryParam("app")
	return a.showBlackoutNew(c, form)
}

func (a *app) showBlackoutNew(c echo.Context, form component.Form) error {
	access := visitorOf(c).Access
	apps, err := a.appNames(c.Request().Context(), access, platform.RoleOperate)
	if err != nil {
		return err
	}
	f, err := a.frame(c, "Add a blackout", layout.NavMaintenances)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Maintenances", URL: "/maintenances"}, component.Link{Text: "Add a blackout"})
	return a.render(c, statusOr(c), page.BlackoutNew(f, page.BlackoutNewView{Form: form, Apps: apps, AllApps: access.Admin}))
}

// blackoutCreate serves POST /blackouts.
func (a *app) blackoutCreate(c echo.Context) error {
	b, err := a.addBlackout(c)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showBlackoutNew(c, form) })
	}
	noteSubject(c, b.Says())
	if isAPI(c) {
		return c.JSON(201, map[string]any{"id": b.ID, "from": b.From, "until": b.Until, "reason": b.Reason})
	}
	a.flashOK(c, "Nothing is switched from "+platform.MomentUTC(b.From)+" to "+platform.MomentUTC(b.Until)+". Maintenances that were due then have moved.")
	return seeOther(c, "/maintenances#maintenance-blackouts")
}

func (a *app) addBlackout(c echo.Context) (platform.Blackout, error) {
	input, err := readInput(c)
	if err != nil {
		return platform.Blackout{}, err
	}
	b := platform.Blackout{Reason: input["reason"]}
	if input["app"] == "" {
		if !visitorOf(c).Access.Admin {
			return b, platform.Invalid("app", "Only an administrator may add a blackout of all apps. Choose one of your apps.")
		}
	} else {
		app, err := a.appFor(c, input["app"], platform.RoleOperate)
		if err != nil {
			return b, err
		}
		b.AppID, b.AppName = &app.ID, app.Name
	}
	if b.From, err = blackoutMoment(input, "from"); err != nil {
		return b, err
	}
	if b.Until, err = blackoutMoment(input, "until"); err != nil {
		return b, err
	}
	return a.jobs.AddBlackout(c.Request().Context(), visitorOf(c).Email, b)
}

// blackoutMoment is one end: from a form a day and a half hour, from a program
// a time as RFC 3339.
func blackoutMoment(input map[string]string, end string) (time.Time, error) {
	if input[end] != "" {
		return platform.ParseInstant(end, input[end])
	}
	return platform.ParseMoment(end+"_date", input[end+"_date"], end+"_time", input[end+"_time"])
}

// blackoutRemove serves POST /blackouts/:id/remove.
func (a *app) blackoutRemove(c echo.Context) error {
	ctx := c.Request().Context()
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	b, err := db.BlackoutByID(ctx, a.pool, id)
	if err != nil {
		return err
	}
	if err := a.mayChangeBlackout(ctx, visitorOf(c).Access, b); err != nil {
		return err
	}
	noteSubject(c, b.Says())
	if err := a.jobs.RemoveBlackout(ctx, visitorOf(c).Email, id); err != nil {
		return err
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "The blackout is removed. Maintenances that it has moved stay where they are.")
	return seeOther(c, "/maintenances#maintenance-blackouts")
}

// mayChangeBlackout is nil for whoever may. One of an app that the visitor does
// not see is answered like one that does not exist.
func (a *app) mayChangeBlackout(ctx context.Context, access platform.Access, b platform.Blackout) error {
	switch {
	case access.Admin:
		return nil
	case b.AppID == nil:
		return platform.Forbidden("This blackout is of all apps, so only an administrator may remove it. Ask one.")
	case !access.SeesAny(*b.AppID):
		return db.NoBlackout()
	}
	return a.needRole(ctx, access, platform.RoleOperate, *b.AppID)
}
