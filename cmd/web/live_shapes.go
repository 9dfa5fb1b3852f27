package main

import (
	"fmt"
	"sync"
	"time"

	"changeover/views/page"
)

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
