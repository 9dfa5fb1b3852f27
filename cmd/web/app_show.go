package main

import (
	"context"
	"fmt"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// mostReleases is how many releases an app's page lists.
const mostReleases = 20

// findApp is the app named in the path; admit has looked it up.
func (a *app) findApp(c echo.Context) (platform.App, error) {
	if app, ok := c.Get(appKey).(platform.App); ok {
		return app, nil
	}
	return platform.App{}, notThere(c)
}

// appPage is what a form on the app's page was refused with, the config var that
// was just revealed, and the invitation that was just made.
type appPage struct {
	varForm, formationForm, peopleForm component.Form
	revealed                           platform.ConfigVar
	invited                            madeInvitation // shown in this one answer
}

// appShow serves GET /apps/:app.
func (a *app) appShow(c echo.Context) error {
	app, err := a.findApp(c)
	if err != nil {
		return err
	}
	if isAPI(c) {
		formation, err := db.Formation(c.Request().Context(), a.pool, app.ID)
		if err != nil {
			return err
		}
		processes := map[string]int{}
		for _, p := range formation {
			processes[p.Type] = p.Quantity
		}
		return c.JSON(200, map[string]any{"name": app.Name, "maintenance": app.MaintenanceOn, "formation": processes, "created_at": app.CreatedAt})
	}
	return a.showApp(c, app, appPage{varForm: formOf(c), formationForm: formOf(c)})
}

func (a *app) showApp(c echo.Context, app platform.App, p appPage) error {
	view, err := a.appView(c.Request().Context(), visitorOf(c).Access, app)
	if err != nil {
		return err
	}
	members, invitations, err := a.appMembers(c.Request().Context(), view.May, app.ID)
	if err != nil {
		return err
	}
	view.VarForm, view.FormationForm = withToken(c, p.varForm), withToken(c, p.formationForm)
	if view.People, err = a.appPeople(c, app, p, members, invitations); err != nil {
		return err
	}
	for i, v := range view.ConfigVars {
		if v.Name == p.revealed.Name {
			view.ConfigVars[i].Revealed, view.ConfigVars[i].Value = true, p.revealed.Value
			view.ConfigVars[i].Editing = v.Attachment == ""
		}
	}
	f, err := a.frame(c, app.Name, layout.NavApps, db.LiveApp(app.ID))
	if err != nil {
		return err
	}
	f.Shape = appShape(view, members, invitations)
	f.Breadcrumbs = crumbs(component.Link{Text: "Apps", URL: "/apps"}, component.Link{Text: app.Name})
	return a.render(c, statusOr(c), page.AppShow(f, view))
}

func (a *app) appView(ctx context.Context, access platform.Access, app platform.App) (page.AppShowView, error) {
	view := page.AppShowView{Name: app.Name, MaintenanceOn: app.MaintenanceOn, CreatedAt: app.CreatedAt, May: access.On(app.ID)}
	vars, err := db.ListConfigVars(ctx, a.pool, a.sealer, a.engine.Host(), app.ID)
	if err != nil {
		return view, err
	}
	attachments, err := db.AttachmentsOfApp(ctx, a.pool, app.ID)
	if err != nil {
		return view, err
	}
	databases, err := db.ListDatabases(ctx, a.pool, access, db.DatabaseFilter{AppID: app.ID})
	if err != nil {
		return view, err
	}
	byName := map[string]db.DatabaseListRow{}
	for _, d := range databases {
		byName[d.Database.Name] = d
	}
	holder := map[string]string{}
	for _, t := range attachments {
		holder[t.Name] = t.DatabaseName
		row := byName[t.DatabaseName]
		it := page.AppAttachment{
			Name: t.Name, ConfigVar: t.ConfigVarName(), Database: databaseLink(t.DatabaseName), Plan: row.Database.Plan,
			Role: databaseRole(row), Status: a.databaseStatus(row), Primary: t.IsPrimary(),
		}
		if t.IsPooled() {
			it.Pool = poolPath(t.DatabaseName, *t.PoolID)
		}
		view.Attachments = append(view.Attachments, it)
	}
	for _, v := range vars {
		view.ConfigVars = append(view.ConfigVars, page.ConfigVarRow{Name: v.Name, Attachment: v.Attachment, Database: holder[v.Attachment]})
	}
	for _, d := range databases {
		if d.Database.AppID == app.ID {
			view.MonthlyCents += a.billed(d.Database.Plan, d.Database.State)
		}
	}
	if view.Formation, err = db.Formation(ctx, a.pool, app.ID); err != nil {
		return view, err
	}
	if view.Releases, err = db.ListReleases(ctx, a.pool, app.ID, mostReleases); err != nil {
		return view, err
	}
	if len(view.Releases) > 0 {
		view.ReleaseTotal = view.Releases[0].Number
	}
	view.DestroyRefusal = appDestroyRefusal(app, databases)
	if view.May == platform.RoleOperate {
		view.DestroyRefusal = fmt.Sprintf("It needs the role manage on %s; yours is operate.", app.Name)
	}
	for _, d := range databases {
		if d.Operation != nil && d.Operation.Kind == platform.FollowerChangeover && d.Database.AppID == app.ID {
			view.Operation = component.Link{Text: d.Operation.Kind.Title() + " of " + d.Database.Name, URL: operationPath(d.Operation.ID)}
		}
	}
	return view, nil
}

// appDestroyRefusal is why an app cannot be destroyed now; empty when it can.
func appDestroyRefusal(app platform.App, databases []db.DatabaseListRow) string {
	n, first := 0, ""
	for _, d := range databases {
		if d.Database.AppID == app.ID {
			n++
			first = or(first, d.Database.Name)
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%s is billed to it. Destroy that database first.", first)
	}
	return fmt.Sprintf("%d databases are billed to it, the first of them %s. Destroy them first.", n, first)
}
