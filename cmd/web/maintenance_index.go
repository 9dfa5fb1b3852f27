package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

const (
	// fewPast is how many maintenances the history begins with, mostPast how
	// many it shows at most.
	fewPast  = 10
	mostPast = 500
	// openingsOffered is how many openings of the window a form offers.
	openingsOffered = 3
)

// maintenanceIndex serves GET /maintenances.
func (a *app) maintenanceIndex(c echo.Context) error {
	if isAPI(c) {
		return a.maintenancesJSON(c)
	}
	return a.showMaintenances(c, queryNumber(c, "open"), formOf(c))
}

// showMaintenances is the page; open is the row that is open, 0 for none, and
// form what was typed into it.
func (a *app) showMaintenances(c echo.Context, open int64, form component.Form) error {
	ctx, access := c.Request().Context(), visitorOf(c).Access
	now := time.Now()
	from, shared := weekFrom(c.QueryParam("from"), now)
	all := c.QueryParam("history") == "all"
	view, err := a.maintenanceView(ctx, access, from, now, all, open)
	if err != nil {
		return err
	}
	view.CSRF = visitorOf(c).CSRF
	for i := range view.Coming {
		if view.Coming[i].ID == open {
			view.Coming[i].Open, view.Coming[i].Form = true, form
		}
	}
	// The fragments show the week that begins today, and the newest history; and
	// they would take away what is said about a refused form.
	var topics []string
	if shared && !all && !form.Failed() {
		topics = []string{db.LiveMaintenances}
	}
	f, err := a.frame(c, "Maintenances", layout.NavMaintenances, topics...)
	if err != nil {
		return err
	}
	return a.render(c, statusOr(c), page.MaintenanceIndex(f, view))
}

// maintenanceView is the page as somebody with access sees it.
func (a *app) maintenanceView(ctx context.Context, access platform.Access, from, now time.Time, all bool, open int64) (page.MaintenanceIndexView, error) {
	view := page.MaintenanceIndexView{MayAddBlackout: mayAddBlackout(access)}
	seen := db.MaintenanceFilter{Access: &access, Limit: mostPast}
	coming, err := db.ComingMaintenances(ctx, a.pool, seen)
	if err != nil {
		return view, err
	}
	if view.Coming, err = a.comingRows(ctx, access, coming, now, open); err != nil {
		return view, err
	}
	if err := a.fillHistory(ctx, &view, seen, all); err != nil {
		return view, err
	}
	blackouts, err := db.ListBlackouts(ctx, a.pool, earliest(from, now), from.AddDate(1, 0, 0))
	if err != nil {
		return view, err
	}
	var drawn []platform.Blackout
	for _, b := range blackouts {
		if b.AppID != nil && !access.SeesAny(*b.AppID) {
			continue
		}
		drawn = append(drawn, b)
		if b.Until.After(now) {
			view.Blackouts = append(view.Blackouts, page.BlackoutRow{
				ID: b.ID, Reason: b.Reason, AppName: b.AppName, From: b.From, Until: b.Until, CreatedBy: b.CreatedBy,
				MayRemove: access.Admin || b.AppID != nil && access.On(*b.AppID) >= platform.RoleOperate,
			})
		}
	}
	return view, a.fillWeek(ctx, &view, access, drawn, from, now)
}

// mayAddBlackout is whether there is any app that the reader may keep free.
func mayAddBlackout(access platform.Access) bool {
	for _, app := range access.AppIDs() {
		if access.On(app) >= platform.RoleOperate {
			return true
		}
	}
	return access.Admin
}

// mostActs is how many rows hold their form; the others link to themselves opened.
const mostActs = 20

// comingRows are the rows of what is to come; open is the one that is opened.
func (a *app) comingRows(ctx context.Context, access platform.Access, coming []platform.Maintenance, now time.Time, open int64) ([]page.MaintenanceRow, error) {
	databases, operations := make([]int64, len(coming)), make([]int64, len(coming))
	for i, m := range coming {
		databases[i], operations[i] = m.DatabaseID, m.OperationID
	}
	windows, err := db.Windows(ctx, a.pool, databases)
	if err != nil {
		return nil, err
	}
	notes, err := db.PreparationNotes(ctx, a.pool, operations)
	if err != nil {
		return nil, err
	}
	outages, err := db.RecentOutages(ctx, a.pool, databases)
	if err != nil {
		return nil, err
	}
	acts, err := a.actsOf(ctx, access, coming, open)
	if err != nil {
		return nil, err
	}
	rows := make([]page.MaintenanceRow, len(coming))
	for i, m := range coming {
		row := page.MaintenanceRow{
			ID: m.ID, OperationID: m.OperationID, DatabaseName: m.DatabaseName, AppName: m.AppName, Title: m.Title(), Note: comingNote(m, notes[m.OperationID]),
			Status: maintenanceStatus(m), Window: windows[m.DatabaseID], ScheduledAt: m.ScheduledAt, RequiredBy: m.RequiredBy,
			Preparing:  m.State == platform.MaintenancePreparing,
			ExpectedMS: medianOf(outages[m.DatabaseID]),
		}
		switch {
		case m.State == platform.MaintenanceRunning:
			row.WhenWord = "now"
		case m.AtOnce:
			row.WhenWord = "as soon as it is ready"
		case m.ScheduledAt == nil:
			row.WhenWord = "not known: choose a time"
		}
		if m.AtOnce || m.State == platform.MaintenanceRunning {
			row.ScheduledAt = nil
		}
		if access.On(m.AppID) >= platform.RoleOperate {
			if row.Folded = isFolded(i, m, open); !row.Folded {
				acts.fill(&row, m, now)
			}
		}
		rows[i] = row
	}
	return rows, nil
}

// isFolded is whether the i-th row only links to itself opened.
func isFolded(i int, m platform.Maintenance, open int64) bool { return i >= mostActs && m.ID != open }

// maintenanceActs is what decides what can be done with the maintenances of a
// list; it was asked for all of them at once.
type maintenanceActs struct {
	operations map[int64]platform.Operation
	calendars  map[int64]platform.Calendar
}

func (a *app) actsOf(ctx context.Context, access platform.Access, coming []platform.Maintenance, open int64) (acts maintenanceActs, err error) {
	var shown []platform.Maintenance
	var operations []int64
	for i, m := range coming {
		if access.On(m.AppID) >= platform.RoleOperate && !isFolded(i, m, open) {
			shown, operations = append(shown, m), append(operations, m.OperationID)
		}
	}
	if len(shown) == 0 {
		return acts, nil
	}
	if acts.operations, err = db.OperationsByID(ctx, a.pool, operations); err != nil {
		return acts, err
	}
	acts.calendars, err = db.CalendarsFor(ctx, a.pool, shown, time.Now())
	return acts, err
}

// fill fills in what the reader may do with a maintenance.
func (acts maintenanceActs) fill(row *page.MaintenanceRow, m platform.Maintenance, now time.Time) {
	op := acts.operations[m.OperationID]
	row.CancelAskedBy = op.CancelRequestedBy
	if !canCancel(op) {
		return
	}
	row.MayAct, row.CanMove = true, m.Kind != platform.MaintenanceSwitchBack
	row.CanRun = row.CanMove && m.State != platform.MaintenanceRunning && !m.AtOnce
	if row.CanMove {
		row.Openings = openingsOf(m, acts.calendars[m.ID], now)
	}
}

// openingsOf are the times that a maintenance can be moved to, with the one at
// which it is scheduled.
func openingsOf(m platform.Maintenance, calendar platform.Calendar, now time.Time) []page.MaintenanceOpening {
	var list []page.MaintenanceOpening
	there := m.ScheduledAt == nil || m.AtOnce
	for _, slot := range calendar.Openings(now, openingsOffered) {
		if !there && m.ScheduledAt.Before(slot.At) {
			list, there = append(list, page.MaintenanceOpening{At: *m.ScheduledAt, Current: true}), true
		}
		current := !there && m.ScheduledAt.Equal(slot.At)
		there = there || current
		list = append(list, page.MaintenanceOpening{At: slot.At, Current: current})
	}
	if !there {
		list = append(list, page.MaintenanceOpening{At: *m.ScheduledAt, Current: true})
	}
	return list
}

func (a *app) fillHistory(ctx context.Context, view *page.MaintenanceIndexView, seen db.MaintenanceFilter, all bool) error {
	if !all {
		seen.Limit = fewPast
	}
	past, err := db.PastMaintenances(ctx, a.pool, seen)
	if err != nil {
		return err
	}
	if view.PastTotal, err = db.CountPastMaintenances(ctx, a.pool, seen); err != nil {
		return err
	}
	if len(past) < view.PastTotal && !all {
		view.AllURL = "/maintenances?history=all#maintenance-history"
	}
	for _, m := range past {
		row := page.MaintenancePast{
			OperationID: m.OperationID, DatabaseName: m.DatabaseName, AppName: m.AppName, Title: m.Title(), Status: maintenanceStatus(m),
			EndedAt: m.EndedAt, OutageMS: m.OutageMS, Note: m.Reason,
		}
		if m.StartedAt != nil && m.EndedAt != nil {
			row.Took = m.EndedAt.Sub(*m.StartedAt)
		}
		view.Past = append(view.Past, row)
	}
	return nil
}

// comingNote is the second line of a maintenance: what it does now, or why it
// is when it is.
func comingNote(m platform.Maintenance, step string) string {
	switch {
	case m.State == platform.MaintenancePreparing && step != "":
		return step
	case m.Postponed > 0 && m.Reason != "":
		return fmt.Sprintf("postponed: %s", m.Reason)
	case m.MovedBy != "":
		return "moved by " + m.MovedBy
	case m.Reason != "":
		return m.Reason
	case m.State == platform.MaintenanceRunning:
		return step
	}
	return "asked for by " + m.CreatedBy
}

// maintenanceStatus is a maintenance's state as a person reads it.
func maintenanceStatus(m platform.Maintenance) component.Status {
	tones := map[platform.MaintenanceState]component.Tone{
		platform.MaintenancePreparing: component.ToneBusy, platform.MaintenanceReady: component.ToneOK, platform.MaintenanceScheduled: component.ToneWait,
		platform.MaintenanceRunning: component.ToneBusy, platform.MaintenanceCompleted: component.ToneOK, platform.MaintenanceCancelled: component.ToneOff,
		platform.MaintenanceFailed: component.ToneBad,
	}
	return component.Status{Tone: tones[m.State], Word: string(m.State)}
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// medianOf is the middle one of measured milliseconds; 0 where there is none.
func medianOf(ms []float64) float64 {
	if len(ms) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(ms))
	return sorted[len(sorted)/2]
}
