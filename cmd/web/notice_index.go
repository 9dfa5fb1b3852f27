package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// noticesAPage is how many notices the mailbox lists at once.
const noticesAPage = 50

// noticeIndex serves GET /notices.
func (a *app) noticeIndex(c echo.Context) error {
	if isAPI(c) {
		return a.noticesJSON(c)
	}
	return a.showNotices(c, nil)
}

// noticeShow serves GET /notices/:id: the mailbox with this one open. Opening
// it is reading it.
func (a *app) noticeShow(c echo.Context) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	ctx, user := c.Request().Context(), visitorOf(c).UserID
	notice, err := db.NoticeByID(ctx, a.pool, user, id)
	if err != nil {
		return err
	}
	if !notice.Read && !isAPI(c) {
		if err := db.SetNoticeRead(ctx, a.pool, user, id, true); err != nil {
			return err
		}
		notice.Read = true
	}
	if isAPI(c) {
		return c.JSON(200, toNoticeJSON(notice))
	}
	return a.showNotices(c, &notice)
}

func (a *app) showNotices(c echo.Context, selected *db.Notice) error {
	filter := ""
	if c.QueryParam("filter") == "unread" {
		filter = "unread"
	}
	before := queryNumber(c, "before")
	view, err := a.mailbox(c.Request().Context(), visitorOf(c).UserID, visitorOf(c).Email, visitorOf(c).Access, filter, before, selected)
	if err != nil {
		return err
	}
	// What the live fragment shows is the newest of all notices.
	var topics []string
	if filter == "" && before == 0 && selected == nil {
		topics = []string{topicNotices}
	}
	f, err := a.frame(c, "Notices", layout.NavNotices, topics...)
	if err != nil {
		return err
	}
	f.Wide = true
	view.Unread = f.UnreadNotices
	if selected != nil {
		f.Title = selected.Subject
		f.Breadcrumbs = crumbs(component.Link{Text: "Notices", URL: "/notices"}, component.Link{Text: selected.Subject})
	}
	return a.render(c, 200, page.NoticeIndex(f, view))
}

// mailbox is a reader's list of notices, those of before an id where it is not
// 0, with the opened one beside it, else the newest.
func (a *app) mailbox(ctx context.Context, user int64, email string, access platform.Access, filter string, before int64, selected *db.Notice) (page.NoticeIndexView, error) {
	view := page.NoticeIndexView{Filter: filter, Opened: selected != nil}
	notices, err := db.ListNotices(ctx, a.pool, user, access, db.NoticeFilter{UnreadOnly: filter == "unread", BeforeID: before, Limit: noticesAPage + 1})
	if err != nil {
		return view, err
	}
	if view.Unread, err = db.UnreadNotices(ctx, a.pool, user, access); err != nil {
		return view, err
	}
	if len(notices) > noticesAPage {
		notices = notices[:noticesAPage]
		view.NextURL = fmt.Sprintf("/notices?filter=%s&before=%d", filter, notices[noticesAPage-1].ID)
	}
	view.Total = len(notices)
	if selected == nil && before == 0 && len(notices) > 0 {
		selected = &notices[0]
	}
	if selected != nil {
		if view.Selected, err = a.noticeView(ctx, email, access, *selected); err != nil {
			return view, err
		}
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for i, n := range notices {
		title := "Earlier"
		if n.At.After(today) {
			title = "Today"
		}
		if len(view.Groups) == 0 || view.Groups[len(view.Groups)-1].Title != title {
			view.Groups = append(view.Groups, page.NoticeGroup{Title: title})
		}
		item := page.NoticeItem{
			ID: n.ID, Tone: noticeTone(n.Level), Subject: n.Subject, Database: n.DatabaseName, Summary: firstSentence(n.Body), At: n.At, Read: n.Read,
			Selected: selected != nil && selected.ID == n.ID,
		}
		if item.Selected {
			view.Position = i + 1
		}
		group := &view.Groups[len(view.Groups)-1]
		group.Items = append(group.Items, item)
	}
	return view, nil
}

func (a *app) noticeView(ctx context.Context, email string, access platform.Access, n db.Notice) (*page.NoticeShow, error) {
	view := &page.NoticeShow{ID: n.ID, Tone: noticeTone(n.Level), Subject: n.Subject, To: email, At: n.At, Body: noticeParts(n.Body), Read: n.Read}
	var err error
	if n.DatabaseName != "" {
		if view.Database, err = a.linkFor(ctx, access, n.DatabaseName); err != nil {
			return nil, err
		}
	}
	if n.AppName != "" {
		view.App = appLinkFor(access, *n.AppID, n.AppName)
	}
	if n.OperationID != nil {
		view.Acts = append(view.Acts, component.Button{Text: "Show the operation", URL: operationPath(*n.OperationID)})
		op, err := db.OperationByID(ctx, a.pool, *n.OperationID)
		if err != nil {
			return nil, err
		}
		drawn, err := a.drawOperation(ctx, op)
		if err != nil {
			return nil, err
		}
		if drawn.change != nil {
			view.Outage = outage(drawn)
		}
	}
	if view.Database.URL != "" {
		view.Acts = append(view.Acts, component.Button{Text: "Show the database", URL: databasePath(n.DatabaseName)})
	}
	return view, nil
}

func noticeTone(level string) component.Tone {
	switch level {
	case "ok":
		return component.ToneOK
	case "warn":
		return component.ToneWarn
	case "bad":
		return component.ToneBad
	}
	return component.ToneInfo
}

// noticeParts cuts a body into paragraphs. A first sentence of at most four
// words stands bold before its paragraph: "Why. The disk is full."
func noticeParts(body string) []page.NoticePart {
	var parts []page.NoticePart
	for paragraph := range strings.SplitSeq(body, "\n\n") {
		paragraph = strings.TrimSpace(paragraph)
		if paragraph == "" {
			continue
		}
		part := page.NoticePart{Text: paragraph}
		lead, rest, ok := strings.Cut(paragraph, ". ")
		if ok && len(strings.Fields(lead)) <= 4 && !strings.ContainsAny(lead, "0123456789") {
			part = page.NoticePart{Lead: lead + ".", Text: rest}
		}
		parts = append(parts, part)
	}
	return parts
}

func firstSentence(body string) string {
	paragraph, _, _ := strings.Cut(body, "\n")
	if sentence, _, ok := strings.Cut(paragraph, ". "); ok {
		return sentence + "."
	}
	return paragraph
}

// noticeJSON is a notice for programs.
type noticeJSON struct {
	ID        int64     `json:"id"`
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Level     string    `json:"level"`
	Database  string    `json:"database,omitempty"`
	App       string    `json:"app,omitempty"`
	Operation *int64    `json:"operation"`
	Subject   string    `json:"subject"`
	Body      string    `json:"body"`
	Read      bool      `json:"read"`
}

func toNoticeJSON(n db.Notice) noticeJSON {
	return noticeJSON{n.ID, n.At, n.Kind, n.Level, n.DatabaseName, n.AppName, n.OperationID, n.Subject, n.Body, n.Read}
}

func (a *app) noticesJSON(c echo.Context) error {
	notices, err := db.ListNotices(c.Request().Context(), a.pool, visitorOf(c).UserID, visitorOf(c).Access, db.NoticeFilter{BeforeID: queryNumber(c, "before"), Limit: noticesAPage})
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
	if isAPI(c) {
		return c.NoContent(204)
	}
	// Back to the list: opening an unread one again would mark it read.
	return seeOther(c, "/notices")
}
