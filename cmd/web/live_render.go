package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"
)

// renderTopic makes a topic's fragments with the components of the pages.
func (a *app) renderTopic(ctx context.Context, topic string, e eyes) (r rendered, err error) {
	kind, id := cutTopic(topic)
	switch {
	case topic == db.LiveRail:
		r.fragments, err = a.renderRail(ctx, e)
	case topic == db.LiveDatabases:
		r.fragments, err = a.renderDatabases(ctx, e)
	case topic == db.LiveMaintenances:
		r.fragments, err = a.renderMaintenances(ctx, e)
	case isMailbox(topic):
		r.fragments, err = a.renderMailbox(ctx, topic, e)
	case kind == "database":
		return a.renderDatabase(ctx, id, e)
	case kind == "operation":
		r.fragments, err = a.renderOperation(ctx, id, e)
	case kind == "app":
		return a.renderApp(ctx, id, e)
	case kind == "pool":
		return a.renderPool(ctx, id, e)
	default:
		err = fmt.Errorf("no topic %q", topic)
	}
	return r, err
}

func (a *app) renderDatabases(ctx context.Context, e eyes) ([]string, error) {
	view, err := a.databaseIndexView(ctx, e.access, "", "")
	if err != nil {
		return nil, err
	}
	return renderFragments(ctx, page.DatabaseRows(view))
}

func (a *app) renderMailbox(ctx context.Context, topic string, e eyes) ([]string, error) {
	reader, err := db.UserByID(ctx, a.pool, e.user)
	if err != nil {
		return nil, err
	}
	_, query, _ := strings.Cut(topic, "?")
	asked, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	box := mailboxOf(asked)
	if box.open != 0 {
		reach, err := db.ReachOfNotice(ctx, a.pool, box.open)
		if err != nil || reach.Person == nil && !reach.Sees(e.access) {
			return nil, err // the page of a notice that is gone, or no longer for this reader
		}
	}
	view, err := a.mailboxView(ctx, e.user, reader.Email, e.access, box)
	if err != nil {
		return nil, err
	}
	return renderFragments(ctx, page.NoticeList(view), page.NoticeLetter(view))
}

func (a *app) renderMaintenances(ctx context.Context, e eyes) ([]string, error) {
	now := time.Now()
	from, _ := weekFrom("", now)
	view, err := a.maintenanceView(ctx, e.access, from, now, false, 0)
	if err != nil {
		return nil, err
	}
	return renderFragments(ctx, page.MaintenanceComing(view), page.MaintenanceWeek(view), page.MaintenanceBlackouts(view), page.MaintenanceHistory(view))
}

func (a *app) renderRail(ctx context.Context, e eyes) ([]string, error) {
	start := time.Now()
	rail, err := db.RailOf(ctx, a.pool, e.user, e.access)
	if err != nil {
		return nil, err
	}
	var f layout.Frame
	a.fillRail(&f, rail)
	return renderFragments(ctx, layout.Unread(f.UnreadNotices), layout.Coming(f.Maintenances), layout.Running(f.Running), layout.RunningBar(f.Running), layout.ControlDatabase(time.Since(start), false, a.version))
}

func (a *app) renderDatabase(ctx context.Context, id int64, e eyes) (rendered, error) {
	d, err := db.DatabaseByID(ctx, a.pool, id)
	if err != nil {
		return rendered{}, err
	}
	row, err := a.databaseNamed(ctx, e.access, d.Name)
	if err != nil {
		return rendered{}, err
	}
	view, err := a.databaseView(ctx, e.access, row, component.LagPlot{Range: "1h", Unit: "commits"})
	if err != nil {
		return rendered{}, err
	}
	now := view.Lag
	for i, s := range now.Series {
		if n := len(s.Points); n > 0 {
			now.Series[i].Points = s.Points[n-1:]
		}
	}
	fragments, err := renderFragments(ctx, page.DatabaseHead(view), page.DatabaseNotes(view), page.DatabaseOperation(view), page.DatabaseTopology(view),
		page.DatabaseFactsList(view), page.DatabaseActivity(view.Activity), page.DatabaseMaintenance(view.Maintenance), page.DatabaseHistory(view), page.DatabaseNotices(view), page.DatabaseDanger(view), component.LagNow(now))
	return rendered{fragments, databaseShape(view)}, err
}

func (a *app) renderOperation(ctx context.Context, id int64, e eyes) ([]string, error) {
	op, err := db.OperationByID(ctx, a.pool, id)
	if err != nil {
		return nil, err
	}
	view, err := a.operationView(ctx, e.access, op)
	if err != nil {
		return nil, err
	}
	return renderFragments(ctx, page.OperationHead(view), page.OperationVerdict(view), page.OperationMaintenance(view.Maintenance), page.OperationPooled(view), page.OperationTodo(view), page.OperationTimeline(view), page.OperationSide(view))
}
