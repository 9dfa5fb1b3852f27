package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"
	"changeover/views/layout"
	"changeover/views/page"
)

// topicNotices is a reader's mailbox; db.LiveRail and db.LiveDatabases are the
// other topics without an id.
const topicNotices = "notices"

// allowTopics is which of the topics a user may watch now, and with which eyes.
// What does not exist or is another's is left out, as its page is not found.
func (a *app) allowTopics(ctx context.Context, user int64, topics []string) ([]subscription, error) {
	access, err := db.AccessOf(ctx, a.pool, user)
	if err != nil {
		return nil, err
	}
	var list []subscription
	for _, topic := range topics {
		e, may, err := a.eyesOn(ctx, user, access, topic)
		if err != nil {
			return nil, err
		}
		if may {
			list = append(list, subscription{topic, e})
		}
	}
	return list, nil
}

// eyesOn is how somebody sees a topic: with the part of their access on which
// its page depends.
func (a *app) eyesOn(ctx context.Context, user int64, access platform.Access, topic string) (e eyes, may bool, err error) {
	switch {
	case topic == db.LiveRail, topic == db.LiveMaintenances, isMailbox(topic): // what is read and what is not is one's own
		return eyes{user, access}, true, nil
	case topic == db.LiveDatabases:
		return eyes{access: access}, true, nil
	}
	kind, id := cutTopic(topic)
	var reach db.Reach
	var around []int64
	switch {
	case id <= 0:
		return eyes{}, false, nil
	case access.Admin:
		return eyes{access: access}, kind == "database" || kind == "operation" || kind == "app" || kind == "pool", nil
	case kind == "database":
		if reach, err = db.ReachOfDatabaseID(ctx, a.pool, id); err == nil && reach.Sees(access) {
			around, err = db.AppsAround(ctx, a.pool, id)
		}
	case kind == "operation":
		if reach, err = db.ReachOfOperation(ctx, a.pool, id); err == nil && reach.Sees(access) {
			around, err = db.AppsAroundOperation(ctx, a.pool, id)
		}
	case kind == "pool":
		reach, around, err = a.poolReach(ctx, access, id)
	case kind == "app":
		if reach.Apps = []int64{id}; reach.Sees(access) {
			around, err = db.AppsAroundApp(ctx, a.pool, id)
		}
	}
	if isKind(err, platform.KindNotFound) {
		err = nil
	}
	return eyes{access: access.Only(around)}, err == nil && reach.Sees(access), err
}

// cutTopic is "database", 12 for "database:12"; id 0 where there is none.
func cutTopic(topic string) (kind string, id int64) {
	kind, number, _ := strings.Cut(topic, ":")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return kind, 0
	}
	return kind, id
}

// heard turns a payload of the control database's channel into the topics whose
// pages show what changed.
func (a *app) heard(payload string) {
	a.hub.changed(payload)
	switch kind, id := cutTopic(payload); kind {
	case "access": // a user's roles changed
		a.hub.recheck(func(b *browser) bool { return b.user == id })
	case "ended": // all of a user's sessions
		a.hub.dropSessions(func(b *browser) bool { return b.user == id })
	case "reach": // a database was attached or detached: it decides who sees what
		a.hub.recheck(func(b *browser) bool { return b.watchesAny("database", "operation", "app", "pool") })
	case "database":
		a.hub.changed(db.LiveDatabases)
		if leader := a.family.leaderOf(id); leader != 0 {
			a.hub.changed(db.LiveDatabase(leader)) // its page shows the follower's lag
		}
	case "notice":
		a.hub.changedWhere(func(key feedKey, _ eyes) bool { return isMailbox(key.topic) })
	case "reads": // one person's own marks
		a.hub.changedWhere(func(key feedKey, e eyes) bool {
			return e.user == id && (key.topic == db.LiveRail || isMailbox(key.topic))
		})
	case db.LiveMaintenances:
		a.hub.changed(db.LiveRail)
	}
}

// isMailbox is whether the topic is somebody's list of notices, filtered or not.
func isMailbox(topic string) bool {
	name, _, _ := strings.Cut(topic, "?")
	return name == topicNotices
}

// family remembers which database follows which, for a few seconds: the lag of
// a follower arrives every second and is shown on its leader's page, too.
type family struct {
	read func(context.Context) ([]db.DatabaseWithServer, error)

	mu      sync.Mutex
	leaders map[int64]int64
	readAt  time.Time
}

func (f *family) leaderOf(id int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.readAt) > 5*time.Second {
		f.readAt = time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if list, err := f.read(ctx); err == nil {
			f.leaders = map[int64]int64{}
			for _, d := range list {
				if d.Database.FollowingID != nil {
					f.leaders[d.Database.ID] = *d.Database.FollowingID
				}
			}
		}
	}
	return f.leaders[id]
}

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
		page.DatabaseFactsList(view), page.DatabaseActivity(view.Activity), page.DatabaseMaintenance(view.Maintenance), page.DatabaseHistory(view), page.DatabaseDanger(view), component.LagNow(now))
	return rendered{fragments, a.shapes.changed(view, e.key())}, err
}

// shapes remembers which parts the page of each database has: attachments and
// the plot are no fragments, and while it is made most parts are left out.
type shapes struct {
	mu    sync.Mutex
	known map[shapeKey]string
}

// shapeKey is a page as some see it.
type shapeKey struct {
	kind     string // "pool"; empty for a database
	database int64
	eyes     string
}

// differs notes a page's shape; seen is false the first time.
func (s *shapes) differs(key shapeKey, shape string) (differs, seen bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, seen := s.known[key]
	if len(s.known) > 10000 {
		clear(s.known)
	}
	s.known[key] = shape
	return before != shape, seen
}

// changed says whether the page has other parts than at the last render. The
// first time nobody knows; where something ended just now, a browser may hold
// the page of before.
func (s *shapes) changed(view page.DatabaseShowView, eyes string) bool {
	key := shapeKey{"", view.ID, eyes}
	if differs, seen := s.differs(key, fmt.Sprint(view.State, len(view.Lag.Series), view.Attachments, view.Maintenance.Quiet())); seen {
		return differs
	}
	return len(view.History) > 0 && view.History[0].EndedAt != nil && time.Since(*view.History[0].EndedAt) < 15*time.Second
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

// sessionLives is whether a socket's session still holds. While the control
// database does not answer nobody is thrown out.
func (a *app) sessionLives(who visitor) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	sessions, err := db.ListSessions(ctx, a.pool, who.UserID, db.SessionIdleLimit, db.SessionAbsoluteLimit)
	if err != nil {
		var ours *platform.Error
		return !errors.As(err, &ours) || ours.Kind == platform.KindUnavailable
	}
	for _, s := range sessions {
		if s.Handle == who.SessionID {
			return true
		}
	}
	return false
}
