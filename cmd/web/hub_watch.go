package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/gorilla/websocket"
)

// rightsWithin is how long asking for a browser's rights may take.
const rightsWithin = 5 * time.Second

// watch subscribes b to those of the topics that its user may watch. What they
// show now is sent at once: between a page's render and its socket something
// may have changed.
func (h *hub) watch(b *browser, topics []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), rightsWithin)
	defer cancel()
	for {
		h.mu.Lock()
		asked := h.rights
		h.mu.Unlock()
		list, err := h.allow(ctx, b.user, topics)
		if err != nil {
			return err
		}
		if h.subscribe(b, list, asked) {
			return nil
		}
		// Somebody's rights changed while the question was under way: its answer
		// may be of before.
	}
}

// subscribe adds b to the feeds; false where rights are not those that were
// asked for any more.
func (h *hub) subscribe(b *browser, list []subscription, asked int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rights != asked {
		return false
	}
	if _, there := h.browsers[b]; !there {
		return true
	}
	for _, s := range list {
		key := feedKey{s.topic, s.eyes.key()}
		if slices.Contains(b.watches, key) {
			continue
		}
		h.unwatch(b, func(k feedKey) bool { return k.topic == s.topic }) // with the eyes of before
		if len(b.watches) >= mostTopics {
			break // no page has as many, and each costs renders
		}
		f := h.feeds[key]
		if f == nil {
			f = &feed{eyes: s.eyes, watchers: map[*browser]struct{}{}}
			h.feeds[key] = f
		}
		f.watchers[b] = struct{}{}
		b.watches = append(b.watches, key)
		if f.last != nil && !f.dirty {
			h.send(b, f.last)
		} else {
			h.soil(key, f)
		}
	}
	return true
}

// unwatch takes b out of the feeds for which which is true; h.mu is held.
func (h *hub) unwatch(b *browser, which func(feedKey) bool) {
	b.watches = slices.DeleteFunc(b.watches, func(key feedKey) bool {
		if !which(key) {
			return false
		}
		if f := h.feeds[key]; f != nil {
			delete(f.watchers, b)
			if len(f.watchers) == 0 {
				delete(h.feeds, key)
			}
		}
		return true
	})
}

// leave removes a browser and the feeds that only it watched.
func (h *hub) leave(b *browser) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.browsers, b)
	h.unwatch(b, func(feedKey) bool { return true })
}

// recheck is for when rights changed: the browsers for which concerned is true
// get nothing any more from now on, and then what they may still watch. Where
// that is not what it was, their page is asked for again.
func (h *hub) recheck(concerned func(b *browser) bool) {
	h.mu.Lock()
	h.rights++
	before := map[*browser][]feedKey{}
	for b := range h.browsers {
		if !concerned(b) || len(b.watches) == 0 {
			continue
		}
		before[b] = slices.Clone(b.watches)
		h.unwatch(b, func(feedKey) bool { return true })
		for waiting := true; waiting; {
			select {
			case <-b.queue: // rendered for the rights of before
			default:
				waiting = false
			}
		}
	}
	h.mu.Unlock()
	for b, keys := range before {
		h.asking.Go(func() { h.watchAgain(b, keys) })
	}
}

func (h *hub) watchAgain(b *browser, before []feedKey) {
	h.renders <- struct{}{} // as many at once as renders
	defer func() { <-h.renders }()
	topics := make([]string, len(before))
	for i, key := range before {
		topics[i] = key.topic
	}
	if err := h.watch(b, topics); err != nil {
		// It comes back by itself, and is asked who it is then.
		h.log.Warn("the rights of a browser could not be asked for", "error", err)
		b.end(websocket.CloseTryAgainLater, "not now")
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, there := h.browsers[b]; !there || sameFeeds(before, b.watches) {
		return
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	body, err := json.Marshal(message{Topic: "rights", At: now, Now: now.UnixMilli(), Refresh: true})
	if err != nil {
		return
	}
	if refresh, err := websocket.NewPreparedMessage(websocket.TextMessage, body); err == nil {
		h.send(b, refresh)
	}
}

func sameFeeds(a, b []feedKey) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(key feedKey) bool { return !slices.Contains(b, key) })
}
