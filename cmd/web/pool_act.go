package main

import (
	"fmt"
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// poolReveal serves POST /databases/:database/pools/:id/url: the page once more,
// with the URL in it.
func (a *app) poolReveal(c echo.Context) error {
	p, row, err := a.findPool(c)
	if err != nil {
		return err
	}
	noteApps(c, p.AppID)
	noteDetail(c, p.AppName+"::"+p.Name)
	if err := a.needRole(c.Request().Context(), visitorOf(c).Access, platform.RoleOperate, p.AppID); err != nil {
		return err
	}
	v, err := db.ConfigVar(c.Request().Context(), a.pool, a.sealer, a.engine.Host(), p.AppID, p.ConfigVarName())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	if isAPI(c) {
		return c.JSON(200, map[string]string{"url": v.Value})
	}
	return a.showPool(c, p, row, v.Value)
}

// poolLead serves POST /databases/:database/pools/:id/lead: a pool that stayed
// with an old leader is led to the one that took its place.
func (a *app) poolLead(c echo.Context) error {
	p, row, err := a.findPool(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	noteApps(c, p.AppID)
	noteDetail(c, p.AppName+"::"+p.Name)
	needs := []int64{p.AppID}
	if row.Database.ReplacedByID != nil {
		to, err := db.DatabaseByID(ctx, a.pool, *row.Database.ReplacedByID)
		if err != nil {
			return err
		}
		needs = append(needs, to.AppID)
	}
	if err := a.needRole(ctx, visitorOf(c).Access, platform.RoleManage, needs...); err != nil {
		return err
	}
	moved, err := a.jobs.LeadPool(ctx, visitorOf(c).Email, p.Attachment.ID)
	if err != nil {
		return err
	}
	if isAPI(c) {
		return c.JSON(200, map[string]any{"id": p.ID, "app": moved.AppName, "name": moved.Name, "database": moved.DatabaseName})
	}
	a.flashOK(c, fmt.Sprintf("%s of %s leads to %s now. Its URL is the same.", moved.Name, moved.AppName, moved.DatabaseName))
	back := a.cameFrom(c, poolPath(moved.DatabaseName, p.ID))
	if strings.HasPrefix(back, poolPath(row.Database.Name, p.ID)) {
		back = poolPath(moved.DatabaseName, p.ID)
	}
	return seeOther(c, back)
}

// poolDetachConfirm serves GET /databases/:database/pools/:id/detach: what it
// means that a pool ends. The attachment's own route detaches it.
func (a *app) poolDetachConfirm(c echo.Context) error {
	p, row, err := a.findPool(c)
	if err != nil {
		return err
	}
	noteApps(c, p.AppID)
	if err := a.needRole(c.Request().Context(), visitorOf(c).Access, platform.RoleManage, p.AppID); err != nil {
		return err
	}
	reading, _, err := db.PoolReadingOf(c.Request().Context(), a.pool, p.ID)
	if err != nil {
		return err
	}
	connected := note(component.ToneWarn, "Clients", "how many are connected now is not known; their connections break")
	if reading.Known() {
		n := reading.ClientsActive + reading.ClientsWaiting
		connected = note(component.ToneWarn, "Clients", "%s connected now; their connections break", plural(n, "client"))
		if n == 0 {
			connected = note(component.ToneOK, "Clients", "none is connected now")
		}
	}
	d := row.Database
	return a.renderConfirm(c, row, page.ConfirmView{
		Form: formOf(c), Title: "Detach " + p.Name, Lead: fmt.Sprintf("The connection pool %s of %s ends.", p.Name, p.AppName),
		Consequences: []component.Check{
			note(component.ToneBad, "Its URL", "stops working for good, wherever it was copied to; a new pool gets another one"),
			connected,
			note(component.ToneWarn, "Release", "%s loses %s in a new release", p.AppName, p.ConfigVarName()),
			note(component.ToneOK, "Data", "nothing changes in %s", d.Name),
		},
		Button: "Detach " + p.Name, Destructive: true, PostURL: fmt.Sprintf("%s/attachments/%d/detach", databasePath(d.Name), p.Attachment.ID),
		Back: component.Link{Text: "Back to the pool", URL: poolPath(d.Name, p.ID)},
	})
}
