package main

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// onceFor is how long after its answer the same form from the same session
// counts as sent twice: a double click, an impatient second press, a browser
// that sends again. While the first one is at work it always does.
const onceFor = 2 * time.Second

// recentForms remembers the answers of the forms sent within onceFor.
type recentForms struct {
	mu    sync.Mutex
	forms map[[32]byte]*sentForm
}

type sentForm struct {
	endedAt  time.Time     // zero while it is at work
	done     chan struct{} // closed when location is known
	location string        // where the first one was sent; empty: it was refused
}

// onlyOnce makes the second of two equal forms wait for the first one and end
// where that one ended. A refused form may be sent again. API requests are the
// caller's own business.
func (a *app) onlyOnce(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		values, err := c.FormParams()
		session := visitorOf(c).SessionID
		if isAPI(c) || session == "" || err != nil {
			return next(c)
		}
		key := sha256.Sum256([]byte(session + "\n" + c.Request().URL.RequestURI() + "\n" + values.Encode()))
		mine, first := a.recent.begin(key)
		if !first {
			select {
			case <-mine.done:
			case <-c.Request().Context().Done():
				return c.Request().Context().Err()
			}
			if mine.location != "" {
				noteDetail(c, "The same form was sent twice; it acted once.")
				return seeOther(c, mine.location)
			}
			return next(c)
		}
		defer func() { a.recent.end(key, mine, c.Response()) }()
		return next(c)
	}
}

func (r *recentForms) begin(key [32]byte) (f *sentForm, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for k, old := range r.forms {
		if !old.endedAt.IsZero() && now.Sub(old.endedAt) > onceFor {
			delete(r.forms, k)
		}
	}
	if f := r.forms[key]; f != nil {
		return f, false
	}
	f = &sentForm{done: make(chan struct{})}
	r.forms[key] = f
	return f, true
}

func (r *recentForms) end(key [32]byte, f *sentForm, response *echo.Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if response.Committed && response.Status == http.StatusSeeOther {
		f.location = response.Header().Get(echo.HeaderLocation)
	} else {
		delete(r.forms, key)
	}
	f.endedAt = time.Now()
	close(f.done)
}
