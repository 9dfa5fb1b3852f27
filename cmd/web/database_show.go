package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
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

// findDatabase is the database named in the path, with everything that the
// list shows of it.
func (a *app) findDatabase(c echo.Context) (db.DatabaseListRow, error) {
	return a.databaseNamed(c.Request().Context(), visitorOf(c).Access, c.Param("database"))
}

// databaseNamed is a database with what access sees of it; the pages of those
// around it ask with platform.Everything and take care of what they show.
func (a *app) databaseNamed(ctx context.Context, access platform.Access, name string) (db.DatabaseListRow, error) {
	rows, err := db.ListDatabases(ctx, a.pool, access, db.DatabaseFilter{Name: name})
	if err != nil {
		return db.DatabaseListRow{}, err
	}
	if name == "" || len(rows) == 0 {
		return db.DatabaseListRow{}, platform.NotFound("There is no database %s. Choose one from the list of databases.", shortened(name))
	}
	return rows[0], nil
}

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
	server, err := a.serverOf(ctx, d)
	if err != nil {
		return view, err
	}
	activity := func() ([]platform.Backend, error) { return nil, nil }
	if hasActivity(d) {
		activity = soon(func() ([]platform.Backend, error) { return a.activityOn(ctx, d, server, row.Reading) })
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
	if view.Facts, err = a.databaseFacts(ctx, access, row, leader, followers, server, now); err != nil {
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
	view.Activity = activityView(row, activity, view.May)
	view.Danger = dangerFor(view.May, d.AppName, dangerItems(row, plan, attachments))
	return view, nil
}

// relatives are the leader of d, nil of one that follows nothing, and the
// followers of its leader or of its own, oldest first.
func (a *app) relatives(ctx context.Context, d platform.Database) (leader *db.DatabaseListRow, followers []db.DatabaseListRow, err error) {
	top := d.ID
	if d.IsFollower() {
		top = *d.FollowingID
	}
	rows, err := db.ListDatabases(ctx, a.pool, platform.Everything(), db.DatabaseFilter{LeaderID: top})
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(rows, func(x, y db.DatabaseListRow) int { return cmp.Compare(x.Database.ID, y.Database.ID) })
	for i, r := range rows {
		switch {
		case r.Database.ID != top:
			followers = append(followers, r)
		case d.IsFollower():
			leader = &rows[i]
		}
	}
	if d.IsFollower() && leader == nil {
		err = platform.NotFound("There is no database %s. Choose one from the list of databases.", d.Name)
	}
	return leader, followers, err
}

// serverOf is the server that the database is; nil before there is one.
func (a *app) serverOf(ctx context.Context, d platform.Database) (*platform.Server, error) {
	server, err := db.ServerOf(ctx, a.pool, d.ID)
	if isKind(err, platform.KindNotFound) {
		return nil, nil
	}
	return &server, err
}

func (a *app) databaseFacts(ctx context.Context, access platform.Access, row db.DatabaseListRow, leader *db.DatabaseListRow, followers []db.DatabaseListRow, server *platform.Server, now time.Time) (page.DatabaseFacts, error) {
	d, r := row.Database, row.Reading
	plan := a.plan(d.Plan)
	facts := page.DatabaseFacts{
		Answers: r.Known && r.Answers, Problem: r.Problem, Version: r.Version, Connections: r.Connections, ConnectionLimit: plan.Connections,
		DataBytes: r.DataBytes, Tables: r.Tables, Lag: lagOf(d, r), CreatedAt: d.CreatedAt, Zone: row.Zone, Host: a.engine.Host(), CostSince: d.CreatedAt,
	}
	if r.UnansweredSince != nil {
		facts.UnknownSince = *r.UnansweredSince
	}
	if leader != nil {
		link := rowLink(access, *leader, leader.Database.Name)
		facts.Following = &link
	}
	if row.ForkedFrom != "" {
		link, err := a.linkFor(ctx, access, row.ForkedFrom)
		if err != nil {
			return facts, err
		}
		facts.ForkedFrom = &link
	}
	if leader == nil { // else they are others of its leader
		for _, f := range followers {
			facts.Followers = append(facts.Followers, rowLink(access, f, or(attachmentOn(f), shortName(f.Database.Name))))
		}
	}
	facts.ForkFollow = forkFollow(d, plan)
	if server != nil {
		facts.Port = server.Port
	}
	var err error
	facts.CostCents, err = db.CostCents(ctx, a.pool, d.ID, now)
	return facts, err
}

// forkFollow is the fact "Fork/Follow" in the words of the documents.
func forkFollow(d platform.Database, plan platform.Plan) string {
	switch {
	case d.IsFollower() || d.State == platform.DatabaseDestroyed:
		return "–"
	case !plan.Tier.CanFollow:
		return "Needs a Standard or higher plan"
	case d.State == platform.DatabaseFenced:
		return "Unavailable while it is fenced"
	case d.State != platform.DatabaseAvailable:
		return "Unavailable until it is available"
	case !d.ForkReady:
		return "Temporarily Unavailable until the first full checkpoint, usually a few minutes"
	}
	return "Available"
}

// connectionOf is the database's URL with its password left out.
func connectionOf(row db.DatabaseListRow, host string, port int, loose bool) page.ConnectionView {
	d := row.Database
	view := page.ConnectionView{DatabaseName: d.Name, Loose: loose, ReadOnly: d.IsFollower() || d.State == platform.DatabaseFenced}
	if port != 0 && d.State != platform.DatabaseCreating {
		view.Masked = fmt.Sprintf("postgres://%s:••••••••@%s/%s?sslmode=require", d.RoleName, net.JoinHostPort(host, strconv.Itoa(port)), d.DatabaseName)
	}
	return view
}

// databaseAttachments fills in where the database is attached, and the apps
// that it can be attached to.
func (a *app) databaseAttachments(ctx context.Context, access platform.Access, view *page.DatabaseShowView, d platform.Database, attachments []platform.Attachment, apps []db.AppListRow) error {
	leadTo, err := a.leadTo(ctx, access, d)
	inMaintenance := map[int64]bool{}
	for _, app := range apps {
		if access.On(app.ID) == platform.RoleManage {
			view.Apps = append(view.Apps, app.Name)
		}
		inMaintenance[app.ID] = app.MaintenanceOn
	}
	for _, t := range attachments {
		seen := access.SeesAny(t.AppID)
		if view.AppUnseen && !seen {
			continue // of no concern to whoever sees the database through another app
		}
		it := page.AttachmentRow{
			ID: t.ID, AppName: t.AppName, Name: t.Name, ConfigVar: t.ConfigVarName(), Primary: t.IsPrimary(),
			DetachRefusal: detachRefusal(t, inMaintenance[t.AppID]), Unseen: !seen, MayDetach: min(view.May, access.On(t.AppID)) == platform.RoleManage,
		}
		if t.IsPooled() {
			it.PoolID = *t.PoolID
			if it.MayDetach {
				it.LeadTo = leadTo
			}
		}
		view.Attachments = append(view.Attachments, it)
	}
	return err
}

// detachRefusal is why an attachment cannot go now; empty when it can. DATABASE
// goes only while its app is in maintenance mode: nobody takes an app's only
// database away by one click, and yet the last one can be destroyed.
func detachRefusal(t platform.Attachment, inMaintenance bool) string {
	if !t.IsPrimary() || inMaintenance {
		return ""
	}
	return fmt.Sprintf("It is the DATABASE_URL of %s. Promote another database there, or turn on maintenance mode of %s to detach it.", t.AppName, t.AppName)
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
