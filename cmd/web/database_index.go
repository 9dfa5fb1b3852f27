package main

import (
	"context"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// home serves GET /.
func (a *app) home(c echo.Context) error { return seeOther(c, "/databases") }

// databaseIndex serves GET /databases.
func (a *app) databaseIndex(c echo.Context) error {
	ctx, access := c.Request().Context(), visitorOf(c).Access
	if isAPI(c) {
		rows, err := db.ListDatabases(ctx, a.pool, access, db.DatabaseFilter{})
		if err != nil {
			return err
		}
		list := make([]databaseJSON, 0, len(rows))
		for _, r := range rows {
			list = append(list, toDatabaseJSON(r))
		}
		return c.JSON(200, list)
	}
	view, err := a.databaseIndexView(ctx, access, c.QueryParam("filter"), strings.TrimSpace(c.QueryParam("q")))
	if err != nil {
		return err
	}
	if view.Total == 0 {
		first, err := a.databaseNewView(c, formOf(c))
		if err != nil {
			return err
		}
		view.FirstRun = &first
	}
	// A filtered list is not what the shared fragment shows, so it is not live.
	topics := []string{db.LiveDatabases}
	if view.Filter != "" || view.Query != "" || view.Total == 0 {
		topics = nil
	}
	f, err := a.frame(c, "Databases", layout.NavDatabases, topics...)
	if err != nil {
		return err
	}
	view.AppCount, view.Running = f.Apps, len(f.Running)
	return a.render(c, 200, page.DatabaseIndex(f, view))
}

// databaseIndexView is the list of databases that access sees, as the page and
// the live fragment show it.
func (a *app) databaseIndexView(ctx context.Context, access platform.Access, filter, query string) (page.DatabaseIndexView, error) {
	view := page.DatabaseIndexView{Filter: filter, Query: query}
	rows, err := db.ListDatabases(ctx, a.pool, access, db.DatabaseFilter{Text: query})
	if err != nil {
		return view, err
	}
	now := time.Now()
	if view.SpentCents, err = db.MonthCostCents(ctx, a.pool, access, now); err != nil {
		return view, err
	}
	view.Month = now.UTC().Month().String()
	view.Total = len(rows)
	if query != "" {
		counts, err := db.RailOf(ctx, a.pool, 0, access)
		if err != nil {
			return view, err
		}
		view.Total = counts.Databases
	}
	for _, r := range rows {
		row := a.databaseRow(r, access)
		if access.SeesAny(r.Database.AppID) { // else it is billed to others
			view.MonthCents += row.MonthlyCents
		}
		leader := !r.Database.IsFollower()
		needs := row.Attention != ""
		switch {
		case leader:
			view.LeaderCount++
		default:
			view.FollowerCount++
		}
		if needs {
			view.AttentionCount++
		}
		if filter == "attention" && !needs || filter == "leaders" && !leader || filter == "followers" && leader {
			continue
		}
		if needs {
			view.Attention = append(view.Attention, row)
		} else {
			view.Rest = append(view.Rest, row)
		}
	}
	return view, nil
}

func (a *app) databaseRow(r db.DatabaseListRow, access platform.Access) page.DatabaseRow {
	plan := a.plan(r.Database.Plan)
	row := page.DatabaseRow{
		ID: r.Database.ID, Name: r.Database.Name, AppName: r.Database.AppName, Plan: r.Database.Plan,
		AttachmentName: attachmentOn(r), Status: a.databaseStatus(r), Role: databaseRole(r), Lag: lagOf(r.Database, r.Reading),
		Connections: r.Reading.Connections, ConnectionLimit: plan.Connections,
		DataBytes: r.Reading.DataBytes, StorageBytes: plan.StorageBytes, Answers: r.Reading.Known && r.Reading.Answers,
		NoWindow: !plan.Tier.HasWindow, Next: nextMaintenance(r),
	}
	if r.Database.State != platform.DatabaseCreating {
		row.MonthlyCents = plan.MonthlyCents
	}
	row.Attention, row.Act = attention(r, plan)
	if access.On(r.Database.AppID) < actRole(row.Act.URL) {
		row.Act = component.Button{Text: "Look", URL: databasePath(r.Database.Name)}
	}
	return row
}

// nextMaintenance is what is to come for a database; nil when nothing is.
func nextMaintenance(r db.DatabaseListRow) *page.NextMaintenance {
	if r.Next == nil {
		return nil
	}
	n := &page.NextMaintenance{ID: r.Next.ID, Title: r.Next.Title, State: string(r.Next.State)}
	switch r.Next.State {
	case platform.MaintenanceRunning:
		n.State = "runs now"
	default:
		n.At = r.Next.ScheduledAt
	}
	return n
}

// plan is the catalogue's plan of that name; one that is not in the catalogue
// any more has its name and no figures.
func (a *app) plan(name string) platform.Plan {
	plan, err := a.catalogue.Plan(name)
	if err != nil {
		return platform.Plan{Name: name}
	}
	return plan
}
