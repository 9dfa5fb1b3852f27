package main

import (
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

// noticeJSON is a notice for programs.
type noticeJSON struct {
	ID        int64                `json:"id"`
	At        time.Time            `json:"at"`
	Kind      platform.NoticeKind  `json:"kind"`
	Level     platform.NoticeLevel `json:"level"`
	Database  string               `json:"database,omitempty"`
	App       string               `json:"app,omitempty"`
	Operation *int64               `json:"operation"`
	Subject   string               `json:"subject"`
	Body      string               `json:"body"`
	Figures   []platform.Figure    `json:"figures"`
	Read      bool                 `json:"read"`
}

func toNoticeJSON(n db.Notice) noticeJSON {
	return noticeJSON{n.ID, n.At, n.Kind, n.Level, n.DatabaseName, n.AppName, n.OperationID, n.Subject, n.Body, n.Figures, n.Read}
}

func (a *app) noticesJSON(c echo.Context) error {
	v := visitorOf(c)
	filter, err := a.noticeFilter(c.Request().Context(), mailboxOf(c.QueryParams()))
	if err != nil {
		return err
	}
	filter.Limit = noticesAPage
	notices, err := db.ListNotices(c.Request().Context(), a.pool, v.UserID, v.Access, filter)
	if err != nil {
		return err
	}
	list := make([]noticeJSON, 0, len(notices))
	for _, n := range notices {
		list = append(list, toNoticeJSON(n))
	}
	return c.JSON(200, list)
}

// noticeRead serves POST /notices/:id/read.
func (a *app) noticeRead(c echo.Context) error { return a.markNotice(c, true) }

// noticeUnread serves POST /notices/:id/unread.
func (a *app) noticeUnread(c echo.Context) error { return a.markNotice(c, false) }

func (a *app) markNotice(c echo.Context, read bool) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	if err := db.SetNoticeRead(c.Request().Context(), a.pool, visitorOf(c).UserID, id, read); err != nil {
		return err
	}
	// Back to the list: opening an unread one again would mark it read.
	return a.marked(c)
}

// noticesRead serves POST /notices/read: all that the filter keeps.
func (a *app) noticesRead(c echo.Context) error {
	ctx, v := c.Request().Context(), visitorOf(c)
	box := mailboxOf(c.QueryParams())
	filter, err := a.noticeFilter(ctx, box)
	if err != nil {
		return err
	}
	filter.BeforeID, filter.UpToID = 0, box.upTo
	if err := db.MarkNoticesRead(ctx, a.pool, v.UserID, v.Access, filter); err != nil {
		return err
	}
	return a.marked(c)
}

func (a *app) marked(c echo.Context) error {
	if isAPI(c) {
		return c.NoContent(204)
	}
	return seeOther(c, mailboxOf(c.QueryParams()).at("/notices"))
}
