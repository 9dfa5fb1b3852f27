package main

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// attemptLimit bounds attempts by key (an address, an account). Its memory is
// bounded, too: of the keys it holds at most size, and forgets the one that was
// seen longest ago.
type attemptLimit struct {
	every time.Duration // one more attempt each
	burst int
	size  int
	now   func() time.Time

	mu      sync.Mutex
	entries map[string]*attempts
}

type attempts struct {
	limiter *rate.Limiter
	seen    time.Time
}

func newAttemptLimit(every time.Duration, burst, size int) *attemptLimit {
	return &attemptLimit{every: every, burst: burst, size: size, now: time.Now, entries: map[string]*attempts{}}
}

// allow takes one attempt of key. wait is how long until there is one more,
// when there is none.
func (l *attemptLimit) allow(key string) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	e := l.entries[key]
	if e == nil {
		if len(l.entries) >= l.size {
			l.forget(now)
		}
		e = &attempts{limiter: rate.NewLimiter(rate.Every(l.every), l.burst)}
		l.entries[key] = e
	}
	e.seen = now
	r := e.limiter.ReserveN(now, 1)
	if delay := r.DelayFrom(now); delay > 0 {
		r.CancelAt(now)
		return delay, false
	}
	return 0, true
}

// forgive gives key all its attempts back, after it was right.
func (l *attemptLimit) forgive(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.entries, key)
}

// forget drops whatever is full again, else the oldest entry. A crowd of
// addresses can so push one out; the limit by account still stands.
func (l *attemptLimit) forget(now time.Time) {
	full := time.Duration(l.burst) * l.every
	oldest, at := "", now.Add(time.Hour)
	dropped := false
	for key, e := range l.entries {
		if now.Sub(e.seen) >= full {
			delete(l.entries, key)
			dropped = true
		} else if e.seen.Before(at) {
			oldest, at = key, e.seen
		}
	}
	if !dropped {
		delete(l.entries, oldest)
	}
}
