package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/gorilla/websocket"
	"github.com/jackc/pgx/v5"
)

// listening starts the ear of the site and waits until it hears.
func (s *site) listening(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() { defer close(ended); s.listen(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	heard := func() bool {
		n := 0
		err := s.pool.QueryRow(t.Context(), `select count(*) from pg_stat_activity where datname = current_database() and query = 'listen live' and state = 'idle'`).Scan(&n)
		noErr(t, err)
		return n > 0
	}
	for end := time.Now().Add(10 * time.Second); !heard(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody listens")
		}
	}
}

// messages are what a socket receives, until it breaks.
func messages(conn *websocket.Conn) <-chan message {
	out := make(chan message, 100)
	go func() {
		defer close(out)
		for {
			_, body, err := conn.ReadMessage()
			if err != nil {
				return
			}
			var m message
			if json.Unmarshal(body, &m) == nil {
				out <- m
			}
		}
	}()
	return out
}

// awaitMessage is the next message for which is is true; a message for which never is
// true fails the test.
func awaitMessage(t *testing.T, in <-chan message, what string, is, never func(message) bool) {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case m, open := <-in:
			if !open {
				t.Fatalf("the socket closed before %s", what)
			}
			if never != nil && never(m) {
				t.Fatalf("waiting for %s: got %s", what, m.Topic)
			}
			if is(m) {
				return
			}
		case <-limit:
			t.Fatalf("no %s", what)
		}
	}
}

func about(topic string) func(message) bool {
	return func(m message) bool { return m.Topic == topic && len(m.Fragments) > 0 }
}

func TestLiveTopicsAskForTheRole(t *testing.T) {
	e := newEstate(t)
	database, operation, app := db.LiveDatabase(e.database.ID), db.LiveOperation(e.operation), db.LiveApp(e.app.ID)
	all := []string{database, operation, app, db.LiveDatabases, db.LiveRail, topicNotices, "database:999", "operation:0", "app:x", "nonsense"}
	names := func(list []subscription) string {
		var topics []string
		for _, s := range list {
			topics = append(topics, s.topic)
		}
		return strings.Join(topics, " ")
	}
	own := strings.Join(all[3:6], " ")
	for _, c := range []struct {
		email string
		want  string
	}{
		{"stranger@example.com", own},
		{"viewer@example.com", strings.Join(all[:6], " ")},
		{"admin@example.com", strings.Join(all[:7], " ")}, // an administrator may ask for what is not there: it renders nothing
	} {
		list, err := e.allowTopics(t.Context(), e.userNamed(t, c.email).ID, all)
		noErr(t, err)
		if got := names(list); got != c.want {
			t.Errorf("%s may watch %q, want %q", c.email, got, c.want)
		}
	}
	if list, err := e.allowTopics(t.Context(), 99999, all); err != nil || names(list) != own {
		t.Errorf("a user that is gone may watch %q (%v)", names(list), err)
	}
}

func TestLiveFragmentsDependOnTheRole(t *testing.T) {
	e := newEstate(t)
	for _, c := range []struct {
		email           string
		operate, manage bool
	}{{"viewer@example.com", false, false}, {"operator@example.com", true, false}, {"manager@example.com", true, true}, {"admin@example.com", true, true}} {
		user := e.userNamed(t, c.email)
		access, err := db.AccessOf(t.Context(), e.pool, user.ID)
		noErr(t, err)
		shown := ""
		for _, topic := range []string{db.LiveDatabase(e.database.ID), db.LiveOperation(e.operation), db.LiveApp(e.app.ID)} {
			eye, may, err := e.eyesOn(t.Context(), user.ID, access, topic)
			if err != nil || !may {
				t.Fatalf("%s: %v %v", topic, may, err)
			}
			r, err := e.renderTopic(t.Context(), topic, eye)
			noErr(t, err)
			shown += strings.Join(r.fragments, "")
		}
		for _, button := range []string{`data-testid="create-follower"`, `data-testid="cancel"`, `data-testid="maintenance-on"`} {
			if strings.Contains(shown, button) != c.operate {
				t.Errorf("%s: %s is there: %v", c.email, button, !c.operate)
			}
		}
		for _, button := range []string{`data-testid="app-create-database"`} {
			if strings.Contains(shown, button) != c.manage {
				t.Errorf("%s: %s is there: %v", c.email, button, !c.manage)
			}
		}
	}
}

func TestRemovedCollaboratorHearsNothingMore(t *testing.T) {
	e := newEstate(t)
	e.listening(t)
	topic := db.LiveApp(e.app.ID)
	conn, _, err := e.visits[theViewer].watch(topic, db.LiveRail)
	noErr(t, err)
	heard := messages(conn)
	awaitMessage(t, heard, "the first fragment", about(topic), nil)

	// A role that rises shows the buttons it needs: the page is asked for again.
	viewer := e.userNamed(t, "viewer@example.com")
	change := func(fn func(tx pgx.Tx) error) { t.Helper(); noErr(t, db.InTx(t.Context(), e.pool, fn)) }
	refresh := func(m message) bool { return m.Topic == "rights" && m.Refresh }
	change(func(tx pgx.Tx) error {
		return db.ChangeMember(t.Context(), tx, e.app.ID, viewer.ID, platform.RoleOperate)
	})
	awaitMessage(t, heard, "the refresh", refresh, nil)
	noErr(t, db.SetMaintenance(t.Context(), e.pool, e.app.ID, true))
	awaitMessage(t, heard, "the operator's button", func(m message) bool {
		return about(topic)(m) && strings.Contains(strings.Join(m.Fragments, ""), `data-testid="maintenance-off"`)
	}, nil)

	change(func(tx pgx.Tx) error { return db.RemoveMember(t.Context(), tx, e.app.ID, viewer.ID) })
	awaitMessage(t, heard, "the last refresh", refresh, nil)
	// Nobody else watches the app, so its feed is gone; the rail still lives.
	e.hub.mu.Lock()
	for key := range e.hub.feeds {
		if key.topic == topic {
			t.Errorf("%v is still fed", key)
		}
	}
	e.hub.mu.Unlock()
	for range 3 {
		noErr(t, db.SetMaintenance(t.Context(), e.pool, e.app.ID, false))
		noErr(t, db.Notify(t.Context(), e.pool, db.LiveRail))
		awaitMessage(t, heard, "the rail", about(db.LiveRail), about(topic))
	}
}

func TestDetachedDatabaseIsNotSeenAnyMore(t *testing.T) {
	e := newEstate(t)
	e.listening(t)
	ramen := dbtest.App(t, e.pool, "ramen")
	e.give(t, "stranger@example.com", ramen.ID, platform.RoleManage)
	var attached platform.Attachment
	noErr(t, db.InTx(t.Context(), e.pool, func(tx pgx.Tx) (err error) {
		attached, err = db.Attach(t.Context(), tx, db.NewAttachment{AppID: ramen.ID, DatabaseID: e.database.ID, Name: "SHARED", Actor: "fixture"})
		return err
	}))
	page := "/databases/" + e.database.Name
	e.ask(t, stranger, get, page, nil)
	v := e.visits[stranger]
	if v.status != 200 || v.page.Find(`a[href="/apps/sushi"]`).Length() != 0 || v.page.Find(`[data-testid=attachments] a[href="/apps/ramen"]`).Length() != 1 {
		t.Errorf("seen through ramen: %d\n%s", v.status, v.text())
	}
	if strings.Contains(v.page.Find("[data-testid=attachments]").Text(), "REPORTING") {
		t.Error("it shows an attachment of an app that is another's")
	}
	for _, button := range []string{"create-follower", "change-plan", "reveal-url", "attach", "cancel-operation"} {
		if v.page.Find("[data-testid="+button+"]").Length() != 0 {
			t.Errorf("it shows the button %s", button)
		}
	}
	for path, want := range map[string]int{page + "/url": 403, page + "/fence": 403, fmt.Sprintf("%s/attachments/%d/detach", page, attached.ID): 403} {
		if e.ask(t, stranger, post, path, nil); v.status != want {
			t.Errorf("POST %s: %d, want %d", path, v.status, want)
		}
	}
	topic := db.LiveDatabase(e.database.ID)
	conn, _, err := v.watch(topic)
	noErr(t, err)
	heard := messages(conn)
	awaitMessage(t, heard, "the first fragment", about(topic), nil)
	noErr(t, db.InTx(t.Context(), e.pool, func(tx pgx.Tx) error {
		_, err := db.Detach(t.Context(), tx, attached.ID, "fixture", nil)
		return err
	}))
	awaitMessage(t, heard, "the refresh", func(m message) bool { return m.Topic == "rights" && m.Refresh }, nil)
	if e.ask(t, stranger, get, page, nil); v.status != 404 {
		t.Errorf("after it was detached: %d", v.status)
	}
}

func TestHubTakesRightsThatChangeMeanwhile(t *testing.T) {
	var h *hub
	var asked atomic.Int64
	allowed := platform.Access{Apps: map[int64]platform.Role{1: platform.RoleView}}
	h = newHub(slog.New(slog.DiscardHandler), func(context.Context, string, eyes) (rendered, error) {
		return rendered{fragments: []string{"secret"}}, nil
	}, func(_ context.Context, _ int64, topics []string) ([]subscription, error) {
		if asked.Add(1) == 1 {
			// The answer is of before: rights change while it is on its way.
			h.recheck(func(*browser) bool { return true })
			return []subscription{{topics[0], eyes{access: allowed}}}, nil
		}
		return nil, nil
	})
	b := &browser{user: 1, queue: make(chan *websocket.PreparedMessage, liveQueue), done: make(chan struct{})}
	h.join(b, 10)
	noErr(t, h.watch(b, []string{"app:1"}))
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(b.watches) != 0 || len(h.feeds) != 0 || asked.Load() != 2 {
		t.Errorf("it watches %v after %d questions", b.watches, asked.Load())
	}
	if slices.ContainsFunc([]eyes{{access: allowed}, {user: 7, access: allowed}}, func(e eyes) bool { return e.key() == (eyes{access: platform.Everything()}).key() }) {
		t.Error("different eyes share a feed")
	}
}
