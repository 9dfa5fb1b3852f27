package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"changeover/internal/platform"
)

const (
	// lookWithin is how long a page waits for a server. What is answered later
	// comes to it by the live connection.
	lookWithin = 300 * time.Millisecond
	// lookFresh is how long an answer that came late is still the answer: whoever
	// was told of it asks for it within this time.
	lookFresh = 2 * time.Second
	// lookKept is how long the answer of before stands in for one that is late.
	lookKept  = 10 * time.Second
	mostLooks = 2000
)

// looks are the questions to servers that pages ask. Each is asked once at a
// time, however many pages want to know, and no page waits long for it.
type looks struct {
	mu  sync.Mutex
	all map[string]*aLook
}

// aLook is one question; all of it is guarded by looks.mu.
type aLook struct {
	running chan struct{} // nil while nobody asks; closed when it was answered
	since   time.Time
	missed  map[string]bool // the topics of those who did not wait for it

	found   any
	err     error
	foundAt time.Time
	late    bool
}

// errNotYet is a look that goes on while the page is shown.
type errNotYet struct{ error }

// Unwrap is the sentence for the page.
func (e errNotYet) Unwrap() error { return e.error }

// notYet is whether the answer is still on its way.
func notYet(err error) bool {
	var is errNotYet
	return errors.As(err, &is)
}

// looking gives what a look has found, and when that was answered; or, where nothing was answered that long
// after it began, an error for which notYet is true.
type looking[T any] func(patience time.Duration) (T, time.Time, error)

// lookAt begins to ask a server beside its caller. When the answer comes after the
// caller's patience, topic is rendered again; empty where there is none. ask may
// take as long as within.
func lookAt[T any](a *app, key, topic string, within time.Duration, ask func(context.Context) (T, error)) looking[T] {
	l := a.looks
	l.mu.Lock()
	defer l.mu.Unlock()
	it := l.all[key]
	if it == nil {
		l.forgetOld()
		it = &aLook{}
		l.all[key] = it
	}
	if it.late && time.Since(it.foundAt) < lookFresh {
		return answered[T](it.found, it.foundAt, it.err)
	}
	if it.running == nil {
		it.running, it.since, it.missed = make(chan struct{}), time.Now(), map[string]bool{}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), within)
			defer cancel()
			found, err := asked(ctx, ask)
			for topic := range l.found(it, found, err) {
				a.hub.changed(topic)
			}
		}()
	}
	running, since := it.running, it.since
	return func(patience time.Duration) (T, time.Time, error) {
		timer := time.NewTimer(max(time.Until(since.Add(patience)), 0))
		defer timer.Stop()
		select {
		case <-running:
		case <-timer.C:
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		select {
		case <-running:
		default:
			it.missed[topic] = true
			if it.err != nil || it.foundAt.IsZero() || time.Since(it.foundAt) > lookKept {
				var none T
				return none, time.Time{}, errNotYet{platform.Unavailable(nil, "Its server has not answered yet. What it says comes here by itself.")}
			}
		}
		return answered[T](it.found, it.foundAt, it.err)(0)
	}
}

// found notes an answer and returns the topics of those who missed it.
func (l *looks) found(it *aLook, found any, err error) map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	it.found, it.err, it.foundAt, it.late = found, err, time.Now(), len(it.missed) > 0
	missed := it.missed
	delete(missed, "")
	close(it.running)
	it.running, it.missed = nil, nil
	return missed
}

// forgetOld keeps the map small; l.mu is held.
func (l *looks) forgetOld() {
	if len(l.all) < mostLooks {
		return
	}
	for key, it := range l.all {
		if it.running == nil && time.Since(it.foundAt) > lookKept {
			delete(l.all, key)
		}
	}
}

func answered[T any](found any, at time.Time, err error) looking[T] {
	value, _ := found.(T)
	return func(time.Duration) (T, time.Time, error) { return value, at, err }
}

// asked is ask, whose panic is an error: the server's own recovery is on another
// goroutine.
func asked[T any](ctx context.Context, ask func(context.Context) (T, error)) (found T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the look failed: %v", r)
		}
	}()
	return ask(ctx)
}
