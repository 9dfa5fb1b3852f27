package jobs

import (
	"context"
	"time"

	"changeover/internal/platform/engine"
)

// heldBefore is what an attempt knows of the hold of one before it, which died.
type heldBefore struct {
	was     bool          // there was one, and nothing says that it ended
	since   time.Time     // its clients wait on, since then; zero where they went on
	atLeast bool          // since then for certain, and maybe for longer
	least   time.Duration // otherwise: for so long they were held for certain
}

// lookBack finds out what became of the clients that an attempt before this one
// held. They may wait on, or the attempt, or its guardian, has let them go: then
// the last that is on record of the hold tells the least that it was. Where no
// attempt noted since when they wait, it is not the start of the step: between
// its tries they went on. Its end is certain, and that they wait now.
func (c *switcher) lookBack(ctx context.Context, pools []engine.Pool) {
	if c.facts.HeldSince == nil && c.StartedAt("pause_pools") == nil {
		return
	}
	c.before.was = true
	since := c.facts.HeldSince
	if since == nil {
		since, c.before.atLeast = c.FinishedAt("pause_pools"), true
	}
	if since == nil {
		now := time.Now()
		since = &now
	}
	ctx, cancel := context.WithTimeout(ctx, pauseMargin)
	defer cancel()
	for _, p := range pools {
		if use, err := c.j.Engine.UsePool(ctx, p); err == nil && use.Paused {
			c.before.since = *since
			return
		}
	}
	c.before.least = c.heldForCertain(*since)
}

// heldForCertain is how long clients were held that were held at since, as far as
// the steps are on record that are done while they are.
func (c *switcher) heldForCertain(since time.Time) time.Duration {
	last := since
	for _, at := range []*time.Time{c.FinishedAt("pause_pools"), c.FinishedAt("fence_writes"), c.FinishedAt("wait_until_zero_behind"), c.Operation.NoReturnAt} {
		if at != nil && at.After(last) {
			last = *at
		}
	}
	return last.Sub(since)
}

// heldUntil is how long the clients were held when they went on at t, and whether
// that is only the least of it.
func (c *switcher) heldUntil(t time.Time) (ms *float64, atLeast bool) {
	switch here := t.Sub(c.heldSince); {
	case !c.before.since.IsZero():
		return milliseconds(t.Sub(c.before.since)), c.before.atLeast
	case c.before.was && c.heldSince.IsZero():
		return milliseconds(c.before.least), true
	case c.before.was: // let go by a guardian, and held once more
		return milliseconds(max(here, c.before.least)), true
	default:
		return milliseconds(here), false
	}
}

// bestHeld is how long the clients were held as far as is known. Where the attempt
// that led the pools died before it wrote that down, or a pool did not answer, the
// end of the step is the best that there is, and the least.
func (c *switcher) bestHeld() (ms *float64, atLeast bool) {
	led := c.FinishedAt("resume_pools")
	switch {
	case c.facts.HeldMS != nil || led == nil:
	case !c.heldSince.IsZero():
		ms, _ = c.heldUntil(*led)
		return ms, true
	case c.facts.HeldSince != nil:
		// Not until they were led: a guardian may have let them go before.
		return milliseconds(c.heldForCertain(*c.facts.HeldSince)), true
	}
	return c.facts.HeldMS, c.facts.HeldAtLeast
}
