package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	ics "github.com/arran4/golang-ical"
	"github.com/labstack/echo/v4"
)

const (
	// feedPath is where a feed is fetched; the request log keeps the token that
	// follows out.
	feedPath = "/calendar/"
	// feedKeeps is for how long an ended maintenance stays in the feed, so that
	// a calendar that is fetched rarely learns that it was cancelled.
	feedKeeps = 90 * 24 * time.Hour
	// feedMost is how many maintenances a feed holds.
	feedMost = 1000
)

// calendarShow serves GET /maintenances/calendar.
func (a *app) calendarShow(c echo.Context) error { return a.showCalendarFeed(c, "") }

func (a *app) showCalendarFeed(c echo.Context, token string) error {
	feed, there, err := db.CalendarFeedOf(c.Request().Context(), a.pool, visitorOf(c).UserID)
	if err != nil {
		return err
	}
	view := page.CalendarFeedView{Exists: there, CreatedAt: feed.CreatedAt, LastFetchedAt: feed.LastFetchedAt}
	if token != "" {
		view.URL = a.feedURL(token)
		_, rest, _ := strings.Cut(view.URL, "://")
		view.WebcalURL = "webcal://" + rest
	}
	f, err := a.frame(c, "iCal feed", layout.NavMaintenances)
	if err != nil {
		return err
	}
	f.Breadcrumbs = crumbs(component.Link{Text: "Maintenances", URL: "/maintenances"}, component.Link{Text: "iCal feed"})
	return a.render(c, statusOr(c), page.CalendarFeed(f, view))
}

func (a *app) feedURL(token string) string {
	return a.cfg.URL.JoinPath(feedPath, token+".ics").String()
}

// calendarCreate serves POST /maintenances/calendar. The address is shown once,
// in the answer to this very request.
func (a *app) calendarCreate(c echo.Context) error {
	noteSubject(c, "the feed of "+visitorOf(c).Email)
	token, err := db.CreateCalendarFeed(c.Request().Context(), a.pool, visitorOf(c).UserID)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	if isAPI(c) {
		return c.JSON(http.StatusCreated, map[string]string{"url": a.feedURL(token)})
	}
	return a.showCalendarFeed(c, token)
}

// calendarRevoke serves POST /maintenances/calendar/revoke.
func (a *app) calendarRevoke(c echo.Context) error {
	noteSubject(c, "the feed of "+visitorOf(c).Email)
	if err := db.DeleteCalendarFeed(c.Request().Context(), a.pool, visitorOf(c).UserID); err != nil {
		return err
	}
	if isAPI(c) {
		return c.NoContent(http.StatusNoContent)
	}
	a.flashOK(c, "The feed is revoked: its address does not answer any more.")
	return seeOther(c, "/maintenances/calendar")
}

// calendarFetch serves GET /calendar/:token, to whoever has the address.
func (a *app) calendarFetch(c echo.Context) error {
	ctx := c.Request().Context()
	feed, err := db.FindCalendarFeed(ctx, a.pool, strings.TrimSuffix(c.Param("token"), ".ics"))
	if err != nil {
		return err
	}
	user, err := db.UserByID(ctx, a.pool, feed.UserID)
	if err != nil {
		return err
	}
	access, err := a.accessOf(ctx, user)
	if err != nil {
		return err
	}
	body, err := a.calendarOf(ctx, access, time.Now())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "private, max-age=300")
	return c.Blob(http.StatusOK, "text/calendar; charset=utf-8", []byte(body))
}

// calendarOf is the calendar (RFC 5545) of what access sees.
func (a *app) calendarOf(ctx context.Context, access platform.Access, now time.Time) (string, error) {
	events, err := db.CalendarEvents(ctx, a.pool, db.MaintenanceFilter{Access: &access, Limit: feedMost}, now.Add(-feedKeeps))
	if err != nil {
		return "", err
	}
	cal := ics.NewCalendarFor("Changeover")
	cal.SetProductId("-//Changeover//Maintenances//EN")
	cal.SetMethod(ics.MethodPublish)
	cal.SetXWRCalName("Changeover maintenances")
	cal.SetRefreshInterval("PT15M")
	cal.SetXPublishedTTL("PT15M")
	for _, e := range events {
		a.addEvent(cal, e)
	}
	return cal.Serialize(ics.WithNewLine("\r\n")), nil
}

func (a *app) addEvent(cal *ics.Calendar, e db.CalendarEvent) {
	from := e.StartedAt
	if e.ScheduledAt != nil && (e.State.Open() || from == nil) {
		from = e.ScheduledAt
	}
	until := from.Add(platform.WindowLength)
	if e.EndedAt != nil && e.StartedAt != nil && e.State == platform.MaintenanceCompleted {
		until = *e.EndedAt
	}
	event := cal.AddEvent(e.CalendarUID)
	event.SetDtStampTime(e.ChangedAt)
	event.SetModifiedAt(e.ChangedAt)
	event.SetCreatedTime(e.CreatedAt)
	event.SetSequence(e.Revision)
	event.SetStartAt(*from)
	event.SetEndAt(until)
	event.SetStatus(eventStatus(e.State))
	event.SetSummary(plainText(fmt.Sprintf("%s: %s of %s", e.AppName, e.Title(), e.DatabaseName)))
	event.SetDescription(plainText(eventText(e.Maintenance)))
	event.SetURL(a.cfg.URL.JoinPath(operationPath(e.OperationID)).String())
	// Nobody is busy because of it.
	event.SetTimeTransparency(ics.TransparencyTransparent)
}

func eventStatus(s platform.MaintenanceState) ics.ObjectStatus {
	switch s {
	case platform.MaintenanceCancelled, platform.MaintenanceFailed:
		return ics.ObjectStatusCancelled
	case platform.MaintenancePreparing, platform.MaintenanceReady:
		return ics.ObjectStatusTentative
	}
	return ics.ObjectStatusConfirmed
}

func eventText(m platform.Maintenance) string {
	text := fmt.Sprintf("The database %s of %s goes from %s to %s. It is %s.", m.DatabaseName, m.AppName, m.FromPlan, m.ToPlan, m.State)
	switch {
	case m.State == platform.MaintenanceCompleted && m.OutageMS != nil:
		text += fmt.Sprintf(" Writes were refused for %s ms.", component.Millis(*m.OutageMS))
	case m.State.Open():
		text += " The switch begins at the start of this time and takes well under a minute of it."
	case m.Reason != "":
		text += " " + m.Reason
	}
	return text
}

// plainText leaves out what a calendar's line cannot hold.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
}
