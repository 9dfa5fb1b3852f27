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

// mostHistory is how many operations a database's page lists.
const mostHistory = 20

// databaseShow serves GET /databases/:database.
func (a *app) databaseShow(c echo.Context) error {
	row, err := a.findDatabase(c)
	if err != nil {
		return err
	}
	if isAPI(c) {
		return c.JSON(200, toDatabaseJSON(row))
	}
	return a.showDatabase(c, row, "", formOf(c))
}

// showDatabase is the page; url is set when it was just revealed.
func (a *app) showDatabase(c echo.Context, row db.DatabaseListRow, url string, attach component.Form) error {
	d, access := row.Database, visitorOf(c).Access
	view, err := a.databaseView(c.Request().Context(), access, row, lagRange(c))
	if err != nil {
		return err
	}
	view.Connection.URL = url
	view.AttachForm = attach
	if view.Maintenance != nil {
		view.Maintenance.CSRF = visitorOf(c).CSRF
	}
	view.Activity.ShowIdle = c.QueryParam("idle") != ""
	f, err := a.frame(c, d.Name, layout.NavDatabases, db.LiveDatabase(d.ID))
	if err != nil {
		return err
	}
	f.Shape = databaseShape(view)
	f.Breadcrumbs = crumbs(component.Link{Text: "Databases", URL: "/databases"}, appLinkFor(access, d.AppID, d.AppName), component.Link{Text: d.Name})
	return a.render(c, statusOr(c), page.DatabaseShow(f, view))
}

// lagRanges are the spans of the lag plot.
func lagSpan(name string) time.Duration {
	switch name {
	case "6h":
		return 6 * time.Hour
	case "24h":
		return 24 * time.Hour
	case "7d":
		return 7 * 24 * time.Hour
	}
	return time.Hour
}

func lagRange(c echo.Context) component.LagPlot {
	plot := component.LagPlot{Range: "1h", Unit: "commits"}
	switch r := c.QueryParam("range"); r {
	case "6h", "24h", "7d":
		plot.Range = r
	}
	switch u := c.QueryParam("unit"); u {
	case "bytes", "seconds":
		plot.Unit = u
	}
	return plot
}

// databaseView is all that a database's page shows. It depends on nothing but
// access to the apps around the database, so that those of whom it is equal can
// share the live fragments.
func (a *app) databaseView(ctx context.Context, access platform.Access, row db.DatabaseListRow, plot component.LagPlot) (page.DatabaseShowView, error) {
	d, plan, now := row.Database, a.plan(row.Database.Plan), time.Now()
	view := page.DatabaseShowView{
		ID: d.ID, Name: d.Name, AppName: d.AppName, Plan: plan, State: d.State, Status: a.databaseStatus(row), Role: databaseRole(row),
		May: access.On(d.AppID), AppUnseen: !access.SeesAny(d.AppID),
	}
	activity := answered[[]platform.Backend](nil, time.Time{}, nil)
	if hasActivity(d) {
		activity = a.activityUnless(row.Reading, d, row.Server, db.LiveDatabase(d.ID))
	}
	leader, followers, err := a.relatives(ctx, d)
	if err != nil {
		return view, err
	}
	operations, err := db.OperationsOf(ctx, a.pool, d.ID, mostHistory)
	if err != nil {
		return view, err
	}
	attachments, err := db.AttachmentsOfDatabase(ctx, a.pool, d.ID)
	if err != nil {
		return view, err
	}
	apps, err := db.ListApps(ctx, a.pool, access)
	if err != nil {
		return view, err
	}
	if view.Facts, err = a.databaseFacts(ctx, access, row, leader, followers, now); err != nil {
		return view, err
	}
	view.Topology = a.topology(access, row, leader, followers, apps)
	if view.Lag, err = a.lagPlot(ctx, row, followers, operations, plot, now); err != nil {
		return view, err
	}
	view.Connection = connectionOf(row, view.Facts.Host, view.Facts.Port, len(attachments) == 0)
	if err := a.jobs.PoolRefusal(d); err != nil {
		view.PoolRefusal = failureOf(err, "").Message
	}
	if err := a.databaseAttachments(ctx, access, &view, d, attachments, apps); err != nil {
		return view, err
	}
	addTopologyPools(&view.Topology, d.Name, view.Attachments)
	if err := a.databaseOperations(ctx, row, operations, &view); err != nil {
		return view, err
	}
	if view.Maintenance, err = a.databaseMaintenance(ctx, access, row, now); err != nil {
		return view, err
	}
	if err := platform.CanFollow(d, plan, now); err != nil {
		view.FollowRefusal = failureOf(err, "").Message
	}
	view.ChangePlanRefusal = changePlanRefusal(row)
	if err := a.databaseNotes(ctx, access, row, attachments, &view); err != nil {
		return view, err
	}
	if err := a.databaseNotices(ctx, access, d.ID, &view); err != nil {
		return view, err
	}
	view.Activity = activityView(row, activity, view.May)
	view.Danger = dangerFor(view.May, d.AppName, dangerItems(row, plan, attachments))
	return view, nil
}

// databaseOperations fills in the open operation and the history.
func (a *app) databaseOperations(ctx context.Context, row db.DatabaseListRow, operations []db.PastOperation, view *page.DatabaseShowView) error {
	view.HistoryTotal = len(operations)
	for _, it := range operations {
		op := it.Operation
		h := page.HistoryRow{OperationID: op.ID, Title: op.Kind.Title(), RequestedAt: op.RequestedAt, EndedAt: op.EndedAt, Tone: operationStatus(op, nil).Tone, Note: firstSentence(op.Reason)}
		if op.State == platform.OperationCompleted {
			h.Note = "by " + op.RequestedBy
		}
		if op.Kind.Switches() {
			h.OutageMS = it.OutageMS
		}
		view.History = append(view.History, h)
		if op.State.Open() && view.Operation == nil {
			var err error
			if view.Operation, err = a.operationCard(ctx, op, row, view.May); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *app) operationCard(ctx context.Context, op platform.Operation, row db.DatabaseListRow, may platform.Role) (*page.OperationCard, error) {
	drawn, err := a.drawOperation(ctx, op)
	if err != nil {
		return nil, err
	}
	step := max(currentStep(drawn.steps), 1)
	return &page.OperationCard{
		ID: op.ID, Title: op.Kind.Title(), Status: operationStatus(op, drawn.steps), Step: step, Steps: len(drawn.steps),
		Percent: percent(step-1, len(drawn.steps)), Timeline: drawn.timeline, CanCancel: canCancel(op) && may >= platform.RoleOperate, CancelAsked: op.CancelRequestedBy,
		Copied: row.Reading.CopiedBytes, Bytes: row.Reading.CopyTotalBytes,
	}, nil
}

// canCancel is whether an operation can still be put back by a person.
func canCancel(op platform.Operation) bool {
	return op.State == platform.OperationRunning && op.NoReturnAt == nil && op.CancelRequestedBy == ""
}
