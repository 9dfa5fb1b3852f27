package main

import (
	"context"
	"net/url"
	"strconv"
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

// mailbox is what of their notices a reader looks at. All of it stands in the
// page's address, and in the name of the topic that keeps the page fresh.
type mailbox struct {
	unread        bool
	app, database string
	kind          platform.NoticeKind
	before        int64 // older than this one: a further page
	upTo          int64 // marks this one and older
	open          int64 // the notice on the right; 0: the newest
}

func mailboxOf(query url.Values) mailbox {
	number := func(name string) int64 {
		n, err := strconv.ParseInt(query.Get(name), 10, 64)
		if err != nil || n < 0 {
			return 0
		}
		return n
	}
	return mailbox{unread: query.Get("filter") == "unread", app: query.Get("app"), database: query.Get("database"),
		kind: platform.NoticeKind(query.Get("kind")), before: number("before"), open: number("open"), upTo: number("up_to")}
}

// narrowed is whether only some of the notices are asked for, read or not.
func (m mailbox) narrowed() bool { return m.app != "" || m.database != "" || m.kind != "" }

func (m mailbox) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"app": m.app, "database": m.database, "kind": string(m.kind)} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, value := range map[string]int64{"before": m.before, "open": m.open} {
		if value != 0 {
			q.Set(name, strconv.FormatInt(value, 10))
		}
	}
	if m.unread {
		q.Set("filter", "unread")
	}
	return q
}

// at is path with the filter behind it.
func (m mailbox) at(path string) string {
	m.open = 0
	if q := m.query().Encode(); q != "" {
		return path + "?" + q
	}
	return path
}

// topic names the live topic of the page.
func (m mailbox) topic() string {
	if q := m.query().Encode(); q != "" {
		return topicNotices + "?" + q
	}
	return topicNotices
}

// filter finds what the names in the address mean. A name that there is not
// keeps nothing, as the name of what the reader does not see.
func (a *app) noticeFilter(ctx context.Context, m mailbox) (db.NoticeFilter, error) {
	f := db.NoticeFilter{UnreadOnly: m.unread, Kind: m.kind, BeforeID: m.before}
	if m.app != "" {
		found, err := db.AppByName(ctx, a.pool, m.app)
		if f.AppID = found.ID; err != nil {
			if !isKind(err, platform.KindNotFound) {
				return f, err
			}
			f.AppID = -1
		}
	}
	if m.database != "" {
		found, err := db.DatabaseByName(ctx, a.pool, m.database)
		if f.DatabaseID = found.ID; err != nil {
			if !isKind(err, platform.KindNotFound) {
				return f, err
			}
			f.DatabaseID = -1
		}
	}
	return f, nil
}

// noticeIndex serves GET /notices.
func (a *app) noticeIndex(c echo.Context) error {
	if isAPI(c) {
		return a.noticesJSON(c)
	}
	box := mailboxOf(c.QueryParams())
	box.open = 0
	return a.showNotices(c, box)
}

// noticeShow serves GET /notices/:id: the mailbox with this one open. Opening
// it is reading it.
func (a *app) noticeShow(c echo.Context) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	ctx, user := c.Request().Context(), visitorOf(c).UserID
	notice, err := db.NoticeByID(ctx, a.pool, user, visitorOf(c).Access, id)
	if err != nil {
		return err
	}
	if isAPI(c) {
		return c.JSON(200, toNoticeJSON(notice))
	}
	if !notice.Read {
		if err := db.SetNoticeRead(ctx, a.pool, user, id, true); err != nil {
			return err
		}
	}
	box := mailboxOf(c.QueryParams())
	box.open = id
	return a.showNotices(c, box)
}

func (a *app) showNotices(c echo.Context, box mailbox) error {
	v := visitorOf(c)
	view, err := a.mailboxView(c.Request().Context(), v.UserID, v.Email, v.Access, box)
	if err != nil {
		return err
	}
	f, err := a.frame(c, "Notices", layout.NavNotices, box.topic())
	if err != nil {
		return err
	}
	f.Wide = true
	if view.Opened {
		f.Title = view.Selected.Subject
		f.Breadcrumbs = crumbs(component.Link{Text: "Notices", URL: box.at("/notices")}, component.Link{Text: view.Selected.Subject})
	}
	return a.render(c, 200, page.NoticeIndex(f, view))
}

// mailboxView is a reader's list of notices with the opened one beside it, else
// the newest.
func (a *app) mailboxView(ctx context.Context, user int64, email string, access platform.Access, box mailbox) (page.NoticeIndexView, error) {
	view := page.NoticeIndexView{Opened: box.open != 0}
	filter, err := a.noticeFilter(ctx, box)
	if err != nil {
		return view, err
	}
	filter.Limit = noticesAPage + 1
	notices, err := db.ListNotices(ctx, a.pool, user, access, filter)
	if err != nil {
		return view, err
	}
	if len(notices) > noticesAPage {
		notices = notices[:noticesAPage]
		next := box
		next.before = notices[noticesAPage-1].ID
		view.NextURL = next.at("/notices")
	}
	var selected *db.Notice
	switch {
	case box.open != 0:
		opened, err := db.NoticeByID(ctx, a.pool, user, access, box.open)
		if err != nil {
			return view, err
		}
		selected = &opened
	case box.before == 0 && len(notices) > 0:
		selected = &notices[0]
	}
	if selected != nil {
		if view.Selected, err = a.noticeView(ctx, email, access, box, *selected); err != nil {
			return view, err
		}
	}
	view.Groups = noticeGroups(notices, box, selected, time.Now())
	return view, a.fillMailbox(ctx, user, access, box, filter, selected, &view)
}

// noticeGroups are the lines of the list, those of today first.
func noticeGroups(notices []db.Notice, box mailbox, selected *db.Notice, now time.Time) (groups []page.NoticeGroup) {
	today := now.UTC().Truncate(24 * time.Hour)
	for _, n := range notices {
		title := "Earlier"
		if !n.At.Before(today) {
			title = "Today"
		}
		if len(groups) == 0 || groups[len(groups)-1].Title != title {
			groups = append(groups, page.NoticeGroup{Title: title})
		}
		group := &groups[len(groups)-1]
		group.Items = append(group.Items, page.NoticeItem{
			ID: n.ID, URL: box.at(noticePath(n.ID)), Tone: noticeTone(n.Level), Subject: n.Subject, Database: n.DatabaseName,
			Summary: firstSentence(n.Body), At: n.At, Read: n.Read, Selected: selected != nil && selected.ID == n.ID,
		})
	}
	return groups
}

// fillMailbox puts the counts and the filter into the view.
func (a *app) fillMailbox(ctx context.Context, user int64, access platform.Access, box mailbox, filter db.NoticeFilter, selected *db.Notice, view *page.NoticeIndexView) error {
	counted, than := filter, int64(0)
	counted.UnreadOnly, counted.BeforeID = false, 0
	if selected != nil {
		than = selected.ID
	}
	counts, err := db.CountNotices(ctx, a.pool, user, access, counted, than)
	if err != nil {
		return err
	}
	view.Unread, view.Total = counts.Unread, counts.Total
	if selected != nil && !box.unread {
		view.Position = counts.Newer + 1
	}
	all, unread, none := box, box, mailbox{unread: box.unread}
	all.unread, all.before, unread.unread, unread.before = false, 0, true, 0
	view.UnreadOnly, view.Narrowed = box.unread, box.narrowed()
	view.AllURL, view.UnreadURL, view.ClearURL, view.BackURL = all.at("/notices"), unread.at("/notices"), none.at("/notices"), box.at("/notices")
	if counts.Unread > 0 {
		// What comes while the page is read is not marked with it.
		view.MarkAllURL = all.at("/notices/read")
		if len(view.Groups) > 0 && box.before == 0 {
			q := all.query()
			q.Del("open")
			q.Set("up_to", strconv.FormatInt(view.Groups[0].Items[0].ID, 10))
			view.MarkAllURL = "/notices/read?" + q.Encode()
		}
	}
	choices, err := db.NoticeChoicesOf(ctx, a.pool, access)
	if err != nil {
		return err
	}
	view.Filter = page.NoticeFilter{App: box.app, Database: box.database, Kind: string(box.kind), Apps: choices.Apps, Databases: choices.Databases}
	for _, k := range platform.NoticeKinds() {
		view.Filter.Kinds = append(view.Filter.Kinds, page.NoticeKindChoice{Group: k.Group, Value: string(k.Kind), Title: k.Title})
	}
	return nil
}

func noticePath(id int64) string { return "/notices/" + strconv.FormatInt(id, 10) }
