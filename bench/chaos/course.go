package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"changeover/bench/ledger"
)

// course is one operation with what happened to it.
type course struct {
	task
	id        int64
	harms     []*harm
	cancelled bool
	began     time.Time
	took      time.Duration
	last      look // as it was seen last
	// goesOn is the longest time from the program being ready until somebody had
	// the operation again; negative where nobody had let go of it.
	goesOn  time.Duration
	moments ledger.Moments
	direct  ledger.Report
	pooled  ledger.Report
	broken  int // transactions through the pool that did not go through
}

func (c *course) failure(format string, args ...any) string {
	text := fmt.Sprintf("%s %d", c.name, c.id)
	for _, h := range c.harms {
		if h.told != "" {
			text += fmt.Sprintf(", %s after %s (%s)", h.name, h.after.Round(time.Millisecond), h.told)
		}
	}
	return text + ": " + fmt.Sprintf(format, args...)
}

// Bars and patience, in the trial's own words.
const (
	goesOnWithin = 10 * time.Second // specification 7
	endsWithin   = 5 * time.Minute
	readyWithin  = time.Minute
	writesWithin = 30 * time.Second
	guardsWithin = 10 * time.Second
)

// turn is one operation with its faults, and the look at everything afterwards.
func (t *trial) turn(ctx context.Context, most int) error {
	c := &course{task: t.fleet.next(), goesOn: -1}
	// Drawn before anything happens, so that a seed gives the same ones again.
	c.harms = t.draw(c.task, most)
	t.known(ctx)
	leaderURL, err := t.api.Reveal(ctx, t.fleet.leader)
	if err != nil {
		return err
	}
	started, err := t.start(ctx, c.task)
	if err != nil {
		// Not a fault of an operation's run, but the app cannot go on with its switches.
		t.found.add(t, c, "it cannot be started: %v", err)
		return err
	}
	c.id, c.began = started.Operation, time.Now()
	harming, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	ended := make(chan struct{})
	for _, h := range c.harms {
		all.Go(func() { t.inflict(harming, c, h, ended) })
	}
	if c.name == "upgrade" {
		all.Go(func() {
			pressing, release := context.WithCancel(harming)
			defer release()
			go func() { <-ended; release() }()
			t.runNow(pressing, c.id)
		})
	}
	err = t.observe(ctx, c, leaderURL)
	close(ended)
	all.Wait()
	if err != nil {
		t.found.add(t, c, "%v", err)
		return err
	}
	t.typical(c)
	t.check(ctx, c)
	c.ended(t, started.Database, c.last.State == "completed")
	t.found.note(c)
	t.say("%s", c.line())
	return ctx.Err()
}

// draw chooses what is done to an operation, and when.
func (t *trial) draw(k task, most int) []*harm {
	var list []*harm
	from := chosen(t.only)
	for range most {
		f := from[t.random.IntN(len(from))]
		after := time.Duration(t.random.Float64() * float64(t.found.usual(k.name)))
		list = append(list, &harm{fault: f, after: after, amount: t.random.Float64()})
	}
	if most == 2 && t.random.IntN(2) == 0 {
		list[1].after = list[0].after // in the same moment
	}
	if most > 0 && t.random.IntN(8) == 0 {
		return nil // now and then nothing, by which the others are measured
	}
	return list
}

// inflict does the harm at its time, unless the operation has ended before.
func (t *trial) inflict(ctx context.Context, c *course, h *harm, ended <-chan struct{}) {
	select {
	case <-ctx.Done():
		return
	case <-ended:
		return
	case <-time.After(time.Until(c.began.Add(h.after))):
	}
	t.say("  %s %d: %s", c.name, c.id, h.name)
	if err := h.do(t, ctx, h, c); err != nil && !errors.Is(err, errNobody) {
		t.say("  %s: %v", h.name, err)
	}
}

// observe looks at the operation until it has ended, and at both servers of a switch.
func (t *trial) observe(ctx context.Context, c *course, leaderURL string) error {
	ctx, cancel := context.WithTimeout(ctx, endsWithin)
	defer cancel()
	var watch *ledger.TwoWritable
	defer func() {
		if watch != nil {
			c.moments = watch.Stop()
		}
	}()
	back := t.watchReady(ctx)
	var freeSince time.Time // since nobody has the operation although the program is ready
	lastHeld, dumped := c.began, false
	for {
		now, err := t.control.operation(ctx, c.id)
		if err == nil {
			c.last = now
		}
		ready := back.since()
		switch {
		case err != nil || ready.IsZero():
			freeSince = time.Time{} // counted anew when the program is back
		case !now.open() || now.Held || now.Sleeps:
			if !freeSince.IsZero() {
				c.goesOn = max(c.goesOn, time.Since(freeSince))
			}
			freeSince, lastHeld = time.Time{}, time.Now()
		default:
			if freeSince.IsZero() {
				if freeSince = lastHeld; ready.After(lastHeld) {
					freeSince = ready
				}
			}
			if waits := time.Since(freeSince); waits > t.slack*goesOnWithin && !dumped {
				dumped = true
				t.say("  %s", c.failure("nobody has it for %s:\n%s", waits, t.control.dump(ctx)))
			}
		}
		if err == nil && !now.open() {
			c.took = time.Since(c.began)
			return nil
		}
		if c.switches && watch == nil && err == nil {
			watch = t.watchBoth(ctx, leaderURL)
		}
		select {
		case <-ctx.Done():
			t.say("  %s", c.failure("it does not end:\n%s", t.control.dump(context.WithoutCancel(ctx))))
			t.askForStacks()
			return fmt.Errorf("it has not ended after %s: %s %s %s", endsWithin, c.last.State, c.last.Reason, c.last.Steps)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// watchBoth begins to try writes on the leader and on the candidate, once that is
// there; nil before.
func (t *trial) watchBoth(ctx context.Context, leaderURL string) *ledger.TwoWritable {
	for _, s := range t.known(ctx) {
		candidate := s.Database == t.fleet.leader && !s.Own
		if t.fleet.stage == 0 {
			candidate = s.Database == t.fleet.follower && s.Own
		}
		if !candidate {
			continue
		}
		if url, err := at(leaderURL, s.Port); err == nil {
			return ledger.WatchBoth(context.WithoutCancel(ctx), leaderURL, url, 10*time.Millisecond)
		}
	}
	return nil
}

// readiness is since when the program answers that it is ready.
type readiness struct {
	mu sync.Mutex
	at time.Time
}

func (r *readiness) since() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

// watchReady asks the program ten times a second whether it is ready, until ctx ends.
func (t *trial) watchReady(ctx context.Context) *readiness {
	r := &readiness{}
	client := &http.Client{Timeout: 500 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		for ctx.Err() == nil {
			asked := time.Now()
			response, err := client.Get(t.program.URL() + "/readyz")
			ok := err == nil && response.StatusCode == http.StatusOK
			if err == nil {
				response.Body.Close()
			}
			r.mu.Lock()
			switch {
			case !ok:
				r.at = time.Time{}
			case r.at.IsZero():
				r.at = asked
			}
			r.mu.Unlock()
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return r
}
