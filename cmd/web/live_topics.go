package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
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
		a.hub.changed(db.LiveDatabases) // the list says when each one's switch is due
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
