package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// pooledAttachment is a connection pool with its attachment.
type pooledAttachment struct {
	platform.Attachment
	ID int64 // the pool's
}

// findPool is the pool of the path. One that leads to another database by now is
// found too: its page's address stays good over a changeover. One of an app
// that the visitor does not see is like none, as on the database's page.
func (a *app) findPool(c echo.Context) (pooledAttachment, db.DatabaseListRow, error) {
	var p pooledAttachment
	ctx, access := c.Request().Context(), visitorOf(c).Access
	row, err := a.findDatabase(c)
	if err != nil {
		return p, row, err
	}
	none := platform.NotFound("%s has no such connection pool. Choose one from its attachments.", row.Database.Name)
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return p, row, none
	}
	p, err = a.poolByID(ctx, id)
	if isKind(err, platform.KindNotFound) {
		return p, row, none
	}
	if err != nil {
		return p, row, err
	}
	if p.DatabaseID != row.Database.ID {
		if row, err = a.poolDatabase(ctx, access, p); err != nil {
			return p, row, none
		}
	}
	if !access.SeesAny(row.Database.AppID) && !access.SeesAny(p.AppID) {
		return p, row, none
	}
	return p, row, nil
}

func (a *app) poolByID(ctx context.Context, id int64) (pooledAttachment, error) {
	pool, err := db.PoolByID(ctx, a.pool, id)
	if err != nil {
		return pooledAttachment{}, err
	}
	if pool.AttachmentID == nil {
		return pooledAttachment{}, platform.NotFound("The connection pool was detached.")
	}
	t, err := db.AttachmentByID(ctx, a.pool, *pool.AttachmentID)
	return pooledAttachment{t, pool.ID}, err
}

// poolDatabase is the database that a pool leads to, for whoever sees it.
func (a *app) poolDatabase(ctx context.Context, access platform.Access, p pooledAttachment) (db.DatabaseListRow, error) {
	reach, err := db.ReachOfDatabaseID(ctx, a.pool, p.DatabaseID)
	if err != nil {
		return db.DatabaseListRow{}, err
	}
	if !reach.Sees(access) {
		return db.DatabaseListRow{}, platform.NotFound("The connection pool was moved.")
	}
	return a.databaseNamed(ctx, access, p.DatabaseName)
}

// poolShow serves GET /databases/:database/pools/:id.
func (a *app) poolShow(c echo.Context) error {
	p, row, err := a.findPool(c)
	if err != nil {
		return err
	}
	if row.Database.Name != c.Param("database") {
		return seeOther(c, poolPath(row.Database.Name, p.ID))
	}
	return a.showPool(c, p, row, "")
}

// showPool is the page; revealed is its URL when it was just asked for.
func (a *app) showPool(c echo.Context, p pooledAttachment, row db.DatabaseListRow, revealed string) error {
	ctx, access := c.Request().Context(), visitorOf(c).Access
	if isAPI(c) {
		return a.poolJSON(c, p)
	}
	span := "1h"
	switch r := c.QueryParam("range"); r {
	case "6h", "24h":
		span = r
	}
	view, err := a.poolView(ctx, access, p, row, span)
	if err != nil {
		return err
	}
	view.Connection.URL = revealed
	f, err := a.frame(c, p.Name+" of "+p.AppName, layout.NavDatabases, db.LivePool(p.ID))
	if err != nil {
		return err
	}
	f.Shape = poolShape(view)
	f.Breadcrumbs = crumbs(component.Link{Text: "Databases", URL: "/databases"}, databaseLink(row.Database.Name), component.Link{Text: p.Name})
	return a.render(c, statusOr(c), page.PoolShow(f, view))
}

func (a *app) poolJSON(c echo.Context, p pooledAttachment) error {
	r, _, err := db.PoolReadingOf(c.Request().Context(), a.pool, p.ID)
	if err != nil {
		return err
	}
	body := map[string]any{"id": p.ID, "app": p.AppName, "name": p.Name, "database": p.DatabaseName, "port": p.PoolPort, "answers": r.Known()}
	if r.Known() {
		body["clients_active"], body["clients_waiting"], body["connections_used"] = r.ClientsActive, r.ClientsWaiting, r.ServersUsed
		body["connections"], body["longest_wait_ms"], body["held"], body["at"] = r.Size, r.LongestWaitMS, r.Held, r.At
	}
	return c.JSON(200, body)
}

// poolView is all that a pool's page shows; it depends on nothing but access to
// the apps around its database.
func (a *app) poolView(ctx context.Context, access platform.Access, p pooledAttachment, row db.DatabaseListRow, span string) (page.PoolShowView, error) {
	d, plan := row.Database, a.plan(row.Database.Plan)
	view := page.PoolShowView{
		ID: p.ID, Name: p.Name, ConfigVar: p.ConfigVarName(), AppName: p.AppName, AppUnseen: !access.SeesAny(p.AppID), DatabaseName: d.Name,
		Size: plan.PoolSize(), Clients: plan.PoolClients(), ConnectionLimit: plan.Connections, PlanName: plan.Name, Port: p.PoolPort, AttachedAt: p.CreatedAt,
		Moves: poolMoves(p.Attachment), May: min(access.On(d.AppID), access.On(p.AppID)),
	}
	view.MayDetach = view.May == platform.RoleManage
	view.Version, view.Prepared = a.jobs.Pooler()
	view.Connection = page.ConnectionView{DatabaseName: d.Name, Pool: p.ID, ReadOnly: d.IsFollower() || d.State == platform.DatabaseFenced,
		Masked: fmt.Sprintf("postgres://%s:••••••••@%s/%s?sslmode=require", d.RoleName, net.JoinHostPort(a.engine.Host(), strconv.Itoa(p.PoolPort)), d.DatabaseName)}
	var err error
	if view.MayDetach {
		if view.LeadTo, err = a.leadTo(ctx, access, d); err != nil {
			return view, err
		}
	}
	reading, _, err := db.PoolReadingOf(ctx, a.pool, p.ID)
	if err != nil {
		return view, err
	}
	view.Now = poolNow(reading)
	view.Status = poolStatus(reading)
	view.Waits, err = a.waitPlot(ctx, p, d, span)
	return view, err
}

// leadTo is the database that took d's place, where a pool of d could be led to
// it by somebody with this access now; empty where not.
func (a *app) leadTo(ctx context.Context, access platform.Access, d platform.Database) (string, error) {
	if d.ReplacedByID == nil {
		return "", nil
	}
	to, err := db.DatabaseByID(ctx, a.pool, *d.ReplacedByID)
	if err != nil || to.State != platform.DatabaseAvailable || access.On(to.AppID) < platform.RoleManage {
		return "", err
	}
	return to.Name, nil
}

// poolReach is who may watch a pool's page: whoever may open it.
func (a *app) poolReach(ctx context.Context, access platform.Access, id int64) (reach db.Reach, around []int64, err error) {
	p, err := a.poolByID(ctx, id)
	if err != nil {
		return reach, nil, err
	}
	if reach, err = db.ReachOfDatabaseID(ctx, a.pool, p.DatabaseID); err != nil {
		return reach, nil, err
	}
	if !access.SeesAny(reach.Apps...) {
		reach = db.Reach{Apps: []int64{p.AppID}} // seen through another app: only that one's own pools
	}
	if reach.Sees(access) {
		around, err = db.AppsAround(ctx, a.pool, p.DatabaseID)
	}
	return reach, around, err
}

func poolMoves(t platform.Attachment) string {
	if t.Name == platform.PoolAttachment {
		return fmt.Sprintf("It leads to where DATABASE_URL of %s leads: a changeover or a promotion takes it along. An upgrade and a switch back keep it, too.", t.AppName)
	}
	return "It stays with this database: an upgrade and a switch back keep it. After a changeover one button leads it to the new leader. Its URL never changes."
}

func poolNow(r db.PoolReading) page.PoolNow {
	now := page.PoolNow{
		Known: r.Known(), LookedAt: r.At != nil, Problem: r.Problem, ClientsActive: r.ClientsActive, ClientsWaiting: r.ClientsWaiting,
		ServersUsed: r.ServersUsed, Size: r.Size, LongestWaitMS: r.LongestWaitMS, Held: r.Held,
	}
	if r.At != nil {
		now.At = *r.At
	}
	if r.UnansweredSince != nil {
		now.UnansweredSince = *r.UnansweredSince
	}
	return now
}

func poolStatus(r db.PoolReading) component.Status {
	switch {
	case r.UnansweredSince != nil:
		return component.Status{Tone: component.ToneBad, Word: "Does not answer"}
	case r.At == nil:
		return component.Status{Tone: component.ToneBusy, Word: "Starting"}
	case r.Held:
		return component.Status{Tone: component.ToneWait, Word: "Held by a switch"}
	}
	return component.Status{Tone: component.ToneOK, Word: "Takes clients"}
}

func poolPath(database string, id int64) string {
	return "/databases/" + url.PathEscape(database) + "/pools/" + strconv.FormatInt(id, 10)
}
