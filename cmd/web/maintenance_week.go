package main

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/page"
)

const weekLength = 7 * 24 * time.Hour

// weekFrom is the day with which the week begins that a link names, else today;
// today says which it is. Days are UTC.
func weekFrom(day string, now time.Time) (from time.Time, today bool) {
	from = now.UTC().Truncate(24 * time.Hour)
	at, err := time.Parse(time.DateOnly, day)
	if err != nil || at.Sub(from).Abs() > 10*365*24*time.Hour || at.Equal(from) {
		return from, true
	}
	return at, false
}

// fillWeek fills in the week from a day on.
func (a *app) fillWeek(ctx context.Context, view *page.MaintenanceIndexView, access platform.Access, blackouts []platform.Blackout, from, now time.Time) error {
	until := from.Add(weekLength)
	url := func(at time.Time) string {
		return "/maintenances?from=" + at.Format(time.DateOnly) + "#maintenance-week"
	}
	view.Week = component.Week{From: from, Now: now}
	view.EarlierURL, view.LaterURL = url(from.Add(-weekLength)), url(until)
	if _, today := weekFrom(from.Format(time.DateOnly), now); today {
		view.WeekTitle = "The next 7 days"
	} else {
		view.WeekTitle, view.NowURL = "7 days from "+from.Format("2 January"), "/maintenances#maintenance-week"
	}
	for _, b := range blackouts {
		if b.From.Before(until) && b.Until.After(from) {
			view.Week.Spans = append(view.Week.Spans, component.WeekSpan{
				Kind: component.WeekBlackout, From: b.From, Until: b.Until, Title: "Blackout", Text: b.Reason + ", " + or(b.AppName, "all apps"),
			})
		}
	}
	maintenances, err := db.MaintenancesBetween(ctx, a.pool, db.MaintenanceFilter{Access: &access}, from.Add(-platform.WindowLength), until)
	if err != nil {
		return err
	}
	busy := map[int64][]component.WeekSpan{}
	for _, m := range maintenances {
		span := maintenanceSpan(m)
		view.Week.Spans = append(view.Week.Spans, span)
		busy[m.DatabaseID] = append(busy[m.DatabaseID], span)
	}
	idle, err := a.idleWindows(ctx, access, busy, from, until)
	view.Databases = idle.databases
	view.Week.Spans = append(view.Week.Spans, idle.spans...)
	return err
}

// maintenanceSpan is a maintenance in the week.
func maintenanceSpan(m platform.Maintenance) component.WeekSpan {
	span := component.WeekSpan{Title: m.AppName, Name: m.DatabaseName, URL: operationPath(m.OperationID)}
	if m.State.Open() {
		span.Kind, span.From, span.Text = component.WeekDue, *m.ScheduledAt, "switch at "+m.ScheduledAt.UTC().Format("15:04")
		if m.State == platform.MaintenanceRunning {
			span.Text = "switches now"
		}
	} else {
		span.Kind, span.From = component.WeekDone, *m.StartedAt
		span.Title += ", " + pastWord(m.State) + " " + m.StartedAt.UTC().Format("15:04")
		span.Text = m.Title()
		if m.OutageMS != nil {
			span.Text = "refused " + component.Millis(*m.OutageMS) + " ms"
		}
	}
	span.Until = span.From.Add(platform.WindowLength)
	if span.Kind == component.WeekDue && span.Until.UTC().Day() != span.From.UTC().Day() {
		span.Text = fmt.Sprintf("%s, to %s", span.Text, span.Until.UTC().Format("15:04"))
	}
	return span
}

func pastWord(s platform.MaintenanceState) string {
	if s == platform.MaintenanceCompleted {
		return "done"
	}
	return string(s)
}

// idleWeek is the windows of a week in which nothing is due.
type idleWeek struct {
	spans     []component.WeekSpan
	databases int // that have a window at all
}

// idleWindows are the windows of all databases that have one, but for those in
// which one of busy is.
func (a *app) idleWindows(ctx context.Context, access platform.Access, busy map[int64][]component.WeekSpan, from, until time.Time) (idleWeek, error) {
	rows, err := db.WindowOwners(ctx, a.pool, db.MaintenanceFilter{Access: &access})
	week := idleWeek{}
	for _, d := range rows {
		if !a.plan(d.Plan).Tier.HasWindow {
			continue
		}
		week.databases++
		span := component.WeekSpan{Kind: component.WeekIdle, Title: d.AppName, Name: d.Name, Text: "window, nothing due", URL: databasePath(d.Name) + "#maintenance"}
		for at := d.Window.Next(from.Add(-platform.WindowLength + time.Minute)); at.Before(until); at = at.AddDate(0, 0, 7) {
			span.From, span.Until = at, at.Add(platform.WindowLength)
			if !overlaps(span, busy[d.ID]) {
				week.spans = append(week.spans, span)
			}
		}
	}
	return week, err
}

func overlaps(s component.WeekSpan, others []component.WeekSpan) bool {
	for _, o := range others {
		if s.From.Before(o.Until) && o.From.Before(s.Until) {
			return true
		}
	}
	return false
}
