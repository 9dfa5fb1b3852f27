package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"changeover/internal/platform"

	"github.com/gorilla/websocket"
)

// hub sends what changed to every browser that watches it. A topic's fragments
// are rendered once for all who see the same of it, whatever the number of
// browsers.
type hub struct {
	// render makes the fragments of topic for these eyes.
	render func(ctx context.Context, topic string, e eyes) (rendered, error)
	// allow is which of the topics the user may watch now, and with which eyes.
	allow func(ctx context.Context, user int64, topics []string) ([]subscription, error)
	log   *slog.Logger
	// pause is the least time between two renders of a topic: a burst of
	// changes costs one.
	pause   time.Duration
	renders chan struct{}  // bounds how many run at once
	asking  sync.WaitGroup // browsers whose rights are being asked for

	mu       sync.Mutex
	feeds    map[feedKey]*feed
	browsers map[*browser]struct{}
	rights   int64 // rises whenever somebody's rights changed
	closed   bool
}

// eyes is for whom a topic is rendered: all who may see and do the same with
// what it tells about share a render, since what one of them must not see is in
// none of it.
type eyes struct {
	user   int64           // of what is one person's own; 0 for what is shared
	access platform.Access // to the apps that the topic tells about
}

func (e eyes) key() string {
	if e.user == 0 {
		return e.access.Key()
	}
	return fmt.Sprintf("user %d, %s", e.user, e.access.Key())
}

// subscription is a topic that a browser may watch, and how it sees it.
type subscription struct {
	topic string
	eyes  eyes
}

// rendered is what a topic shows now. Shape names what of its page is no
// fragment: where a page has another one, fragments alone cannot bring it up to
// date.
type rendered struct {
	fragments []string
	shape     string
}

type feedKey struct {
	topic string
	eyes  string
}

// feed is a topic that somebody watches.
type feed struct {
	eyes     eyes
	watchers map[*browser]struct{}
	dirty    bool
	running  bool
	last     *websocket.PreparedMessage // nil until the first render
	lastAt   time.Time
}

// message is what a browser receives. Now is the server's clock in
// milliseconds, so that ages are right whatever the reader's clock says.
type message struct {
	Topic     string    `json:"topic"`
	At        time.Time `json:"at"`
	Now       int64     `json:"now"`
	Fragments []string  `json:"fragments,omitempty"`
	Shape     string    `json:"shape,omitempty"`   // a page with another one asks for itself again
	Refresh   bool      `json:"refresh,omitempty"` // ask for the whole page again
}

func newHub(log *slog.Logger, render func(context.Context, string, eyes) (rendered, error), allow func(context.Context, int64, []string) ([]subscription, error)) *hub {
	return &hub{
		render: render, allow: allow, log: log, pause: 200 * time.Millisecond, renders: make(chan struct{}, 4),
		feeds: map[feedKey]*feed{}, browsers: map[*browser]struct{}{},
	}
}

// changed notes that what topic shows is not true any more.
func (h *hub) changed(topic string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, f := range h.feeds {
		if key.topic == topic {
			h.soil(key, f)
		}
	}
}

// changedWhere is changed for the feeds for which which is true.
func (h *hub) changedWhere(which func(key feedKey, e eyes) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, f := range h.feeds {
		if which(key, f.eyes) {
			h.soil(key, f)
		}
	}
}

// changedAll is changed for every topic: after the ear to the control database
// was deaf for a while, nobody knows what it missed.
func (h *hub) changedAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, f := range h.feeds {
		h.soil(key, f)
	}
}

// soil marks a feed for rendering; h.mu is held.
func (h *hub) soil(key feedKey, f *feed) {
	f.dirty = true
	if !f.running && !h.closed {
		f.running = true
		go h.run(key, f)
	}
}

// pauseOf is the least time between two renders of a topic. The list of all
// databases is long and changes with every lag sample of any of them.
func (h *hub) pauseOf(topic string) time.Duration {
	if topic == "databases" {
		return max(h.pause, 900*time.Millisecond)
	}
	return h.pause
}

// run renders a feed until it is clean or nobody watches it.
func (h *hub) run(key feedKey, f *feed) {
	for {
		h.mu.Lock()
		wait := time.Until(f.lastAt.Add(h.pauseOf(key.topic)))
		h.mu.Unlock()
		if wait > 0 {
			time.Sleep(wait)
		}
		h.mu.Lock()
		if !f.dirty || len(f.watchers) == 0 || h.closed {
			f.running = false
			h.mu.Unlock()
			return
		}
		f.dirty = false
		f.lastAt = time.Now()
		h.mu.Unlock()

		prepared, err := h.prepare(key.topic, f.eyes)
		if err != nil {
			// The pages keep their data and show its age; the next change renders again.
			h.log.Warn("live fragment not rendered", "topic", key.topic, "error", err)
			continue
		}
		h.mu.Lock()
		f.last = prepared
		for b := range f.watchers {
			h.send(b, prepared)
		}
		h.mu.Unlock()
	}
}

func (h *hub) prepare(topic string, e eyes) (*websocket.PreparedMessage, error) {
	h.renders <- struct{}{}
	defer func() { <-h.renders }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	at := time.Now().UTC().Truncate(time.Millisecond)
	shows, err := h.render(ctx, topic, e)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(message{Topic: topic, At: at, Now: at.UnixMilli(), Fragments: shows.fragments, Shape: shows.shape})
	if err != nil {
		return nil, err
	}
	return websocket.NewPreparedMessage(websocket.TextMessage, body)
}

// send queues a message; a browser that does not keep up is dropped, not
// waited for. It comes back and refetches. h.mu is held.
func (h *hub) send(b *browser, m *websocket.PreparedMessage) {
	select {
	case b.queue <- m:
	default:
		b.end(websocket.CloseTryAgainLater, "too slow")
	}
}

// join adds a browser; false when the hub is closed or full.
func (h *hub) join(b *browser, most int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.browsers) >= most {
		return false
	}
	h.browsers[b] = struct{}{}
	return true
}

// dropSessions ends the sockets of the sessions for which gone is true.
func (h *hub) dropSessions(gone func(b *browser) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for b := range h.browsers {
		if gone(b) {
			b.end(websocket.ClosePolicyViolation, "signed out")
		}
	}
}

// close tells every browser that the server restarts.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for b := range h.browsers {
		b.end(websocket.CloseServiceRestart, "restarting")
	}
}
