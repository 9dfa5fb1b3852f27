package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/gorilla/websocket"
)

// watch opens a socket as the page of a visit does.
func (v *visit) watch(topics ...string) (*websocket.Conn, *http.Response, error) {
	v.t.Helper()
	u, err := url.Parse(v.base)
	if err != nil {
		v.t.Fatal(err)
	}
	header := http.Header{"Origin": {v.base}}
	for _, c := range v.client.Jar.Cookies(u) {
		header.Add("Cookie", c.Name+"="+c.Value)
	}
	conn, answer, err := websocket.DefaultDialer.DialContext(v.t.Context(), "ws://"+u.Host+"/live", header)
	if err != nil {
		return nil, answer, err
	}
	v.t.Cleanup(func() { _ = conn.Close() })
	return conn, answer, conn.WriteJSON(map[string][]string{"watch": topics})
}

// next is the next message about topic.
func next(t *testing.T, conn *websocket.Conn, topic string) message {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		_, body, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var m message
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		if m.Topic == topic {
			return m
		}
	}
}

func TestLivePagesHearOfChanges(t *testing.T) {
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.listen(ctx)
	v := s.signedIn(t, "someone@example.com")
	app, err := db.CreateApp(t.Context(), s.pool, "sushi", "someone@example.com")
	if err != nil {
		t.Fatal(err)
	}
	topic := db.LiveApp(app.ID)
	conn, _, err := v.watch(topic, "nonsense:1", "rail")
	if err != nil {
		t.Fatal(err)
	}
	m := next(t, conn, topic) // at once: what changed between the page and the socket is not lost
	if all := strings.Join(m.Fragments, ""); !strings.Contains(all, `id="app-head"`) {
		t.Errorf("fragments: %s", all)
	}
	if time.Since(m.At) > time.Minute || m.Now == 0 {
		t.Errorf("the message is dated %s", m.At)
	}
	// The channel's connection may still be on its way; a change is repeated
	// until it is heard.
	heard := make(chan message, 1)
	go func() { heard <- next(t, conn, topic) }()
	for on := true; ; on = !on {
		if err := db.SetMaintenance(t.Context(), s.pool, app.ID, on); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-heard:
			if len(m.Fragments) == 0 {
				t.Errorf("an empty message: %+v", m)
			}
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func TestLiveAsksWhoComes(t *testing.T) {
	s := newSite(t, nil)
	stranger := s.visit(t)
	stranger.get("/sign-in")
	if _, answer, err := stranger.watch("rail"); err == nil || answer == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("a stranger: %v %v", answer, err)
	}
	v := s.signedIn(t, "someone@example.com")
	u, _ := url.Parse(s.url)
	header := http.Header{"Origin": {"https://evil.example"}}
	for _, c := range v.client.Jar.Cookies(u) {
		header.Add("Cookie", c.Name+"="+c.Value)
	}
	_, answer, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+u.Host+"/live", header)
	if err == nil || answer == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("another Origin: %v %v", answer, err)
	}

	// Signing out ends the socket.
	conn, _, err := v.watch("rail")
	if err != nil {
		t.Fatal(err)
	}
	next(t, conn, "rail")
	v.get("/databases")
	v.submit("/sign-out")
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for err == nil {
		_, _, err = conn.ReadMessage()
	}
	if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("after signing out: %v", err)
	}
}

// allowAll lets everybody watch everything; the rail is each user's own.
func allowAll(_ context.Context, user int64, topics []string) ([]subscription, error) {
	var list []subscription
	for _, topic := range topics {
		e := eyes{access: platform.Everything()}
		if topic == "rail" {
			e.user = user
		}
		list = append(list, subscription{topic, e})
	}
	return list, nil
}

func noErr(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestHubRendersOnceForAll(t *testing.T) {
	var renders atomic.Int64
	h := newHub(slog.New(slog.DiscardHandler), func(context.Context, string, eyes) (rendered, error) {
		return rendered{fragments: []string{fmt.Sprint(renders.Add(1))}}, nil
	}, allowAll)
	h.pause = 5 * time.Millisecond
	var browsers []*browser
	for range 1000 {
		b := &browser{user: 1, queue: make(chan *websocket.PreparedMessage, liveQueue), done: make(chan struct{})}
		if !h.join(b, 2000) {
			t.Fatal("not let in")
		}
		browsers = append(browsers, b)
		noErr(t, h.watch(b, []string{"database:1"}))
	}
	for _, b := range browsers {
		<-b.queue
	}
	// Browsers that came while the first fragment was rendered made it be
	// rendered once more; that has to be over before the burst is counted.
	awaitIdle(t, h)
	for _, b := range browsers {
		for len(b.queue) > 0 {
			<-b.queue
		}
	}
	before, began := renders.Load(), time.Now()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { h.changed("database:1") })
	}
	wg.Wait()
	first := <-browsers[0].queue
	for _, b := range browsers[1:] {
		if got := <-b.queue; got != first {
			t.Fatal("two browsers got different bytes")
		}
	}
	// One a pause at the most, however long the burst took on a busy machine.
	if n, most := renders.Load()-before, int64(time.Since(began)/h.pause)+3; n > most || n >= 50 {
		t.Errorf("a burst of 50 changes cost %d renders, more than %d", n, most)
	}
	h.changed("database:2") // nobody watches it
	for _, b := range browsers {
		h.leave(b)
	}
	if len(h.feeds) != 0 || len(h.browsers) != 0 {
		t.Errorf("%d feeds and %d browsers are left", len(h.feeds), len(h.browsers))
	}
}

// awaitIdle waits until no feed of the hub is being rendered.
func awaitIdle(t *testing.T, h *hub) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		h.mu.Lock()
		running := false
		for _, f := range h.feeds {
			running = running || f.running
		}
		h.mu.Unlock()
		if !running {
			return
		}
	}
	t.Fatal("the hub renders without an end")
}

func TestHubDropsASlowBrowser(t *testing.T) {
	h := newHub(slog.New(slog.DiscardHandler), func(context.Context, string, eyes) (rendered, error) {
		return rendered{fragments: []string{"x"}}, nil
	}, allowAll)
	h.pause = 0
	slow := &browser{queue: make(chan *websocket.PreparedMessage, 1), done: make(chan struct{})}
	h.join(slow, 10)
	noErr(t, h.watch(slow, []string{"database:1"}))
	for ended := false; !ended; {
		h.changed("database:1")
		select {
		case <-slow.done:
			ended = true
		case <-time.After(time.Millisecond):
		}
	}
	if slow.code != websocket.CloseTryAgainLater {
		t.Errorf("ended with %d %s", slow.code, slow.reason)
	}
}

func TestHubTellsEachReaderTheirOwn(t *testing.T) {
	h := newHub(slog.New(slog.DiscardHandler), func(_ context.Context, topic string, e eyes) (rendered, error) {
		if e.user == 0 {
			return rendered{}, errors.New("nobody's")
		}
		return rendered{fragments: []string{fmt.Sprint(topic, e.user)}}, nil
	}, allowAll)
	for _, user := range []int64{1, 2} {
		b := &browser{user: user, queue: make(chan *websocket.PreparedMessage, liveQueue), done: make(chan struct{})}
		h.join(b, 10)
		noErr(t, h.watch(b, []string{"rail"}))
		<-b.queue
	}
	keys := []int64{}
	for _, f := range h.feeds {
		keys = append(keys, f.eyes.user)
	}
	if slices.Sort(keys); !slices.Equal(keys, []int64{1, 2}) {
		t.Errorf("feeds of users %v", keys)
	}
}

// Whatever a browser asks for, message after message, it costs no more renders
// than a page has topics.
func TestHubBoundsWhatABrowserWatches(t *testing.T) {
	h := newHub(slog.New(slog.DiscardHandler), func(context.Context, string, eyes) (rendered, error) {
		return rendered{fragments: []string{"x"}}, nil
	}, allowAll)
	b := &browser{queue: make(chan *websocket.PreparedMessage, 1000), done: make(chan struct{})}
	h.join(b, 10)
	for i := range 10 {
		var topics []string
		for k := range mostTopics {
			topics = append(topics, fmt.Sprintf("notices?kind=%d-%d", i, k))
		}
		noErr(t, h.watch(b, topics))
	}
	h.mu.Lock()
	feeds := len(h.feeds)
	h.mu.Unlock()
	if feeds != mostTopics || len(b.watches) != mostTopics {
		t.Errorf("%d feeds for %d topics, at most %d wanted", feeds, len(b.watches), mostTopics)
	}
	h.leave(b)
	awaitIdle(t, h)
}
