package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// hub sends what changed to every browser that watches it. A topic's fragments
// are rendered once, whatever the number of browsers.
type hub struct {
	// render makes the fragments of topic for user; user is 0 for topics that
	// look the same to everybody.
	render func(ctx context.Context, topic string, user int64) (rendered, error)
	// personal says that a topic looks different to each user.
	personal func(topic string) bool
	log      *slog.Logger
	// pause is the least time between two renders of a topic: a burst of
	// changes costs one.
	pause   time.Duration
	renders chan struct{} // bounds how many run at once

	mu       sync.Mutex
	feeds    map[feedKey]*feed
	browsers map[*browser]struct{}
	closed   bool
}

// rendered is what a topic shows now. Refresh is set when the page has other
// parts than before, so that fragments alone cannot bring it up to date.
type rendered struct {
	fragments []string
	refresh   bool
}

type feedKey struct {
	topic string
	user  int64 // 0: everybody
}

// feed is a topic that somebody watches.
type feed struct {
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
	Refresh   bool      `json:"refresh,omitempty"` // ask for the whole page again
}

func newHub(log *slog.Logger, render func(context.Context, string, int64) (rendered, error), personal func(string) bool) *hub {
	return &hub{
		render: render, personal: personal, log: log, pause: 200 * time.Millisecond, renders: make(chan struct{}, 4),
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

		prepared, err := h.prepare(key)
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

func (h *hub) prepare(key feedKey) (*websocket.PreparedMessage, error) {
	h.renders <- struct{}{}
	defer func() { <-h.renders }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	at := time.Now().UTC().Truncate(time.Millisecond)
	shows, err := h.render(ctx, key.topic, key.user)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(message{key.topic, at, at.UnixMilli(), shows.fragments, shows.refresh})
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

// watch subscribes b to topics. What they show now is sent at once: between a
// page's render and its socket something may have changed.
func (h *hub) watch(b *browser, topics []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.browsers[b]; !there {
		return
	}
	for _, topic := range topics {
		key := feedKey{topic: topic}
		if h.personal(topic) {
			key.user = b.user
		}
		f := h.feeds[key]
		if f == nil {
			f = &feed{watchers: map[*browser]struct{}{}}
			h.feeds[key] = f
		}
		if _, already := f.watchers[b]; already {
			continue
		}
		f.watchers[b] = struct{}{}
		b.watches = append(b.watches, key)
		if f.last != nil && !f.dirty {
			h.send(b, f.last)
		} else {
			h.soil(key, f)
		}
	}
}

// leave removes a browser and the feeds that only it watched.
func (h *hub) leave(b *browser) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.browsers, b)
	for _, key := range b.watches {
		if f := h.feeds[key]; f != nil {
			delete(f.watchers, b)
			if len(f.watchers) == 0 {
				delete(h.feeds, key)
			}
		}
	}
	b.watches = nil
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
