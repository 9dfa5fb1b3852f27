package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"changeover/bench/ledger"
)

// check looks at everything once an operation has ended.
func (t *trial) check(ctx context.Context, c *course) {
	if !t.awaitReady(ctx, t.slack*readyWithin) {
		t.found.add(t, c, "the program is not ready %s after it", t.slack*readyWithin)
	}
	for name, w := range map[string]*ledger.Writers{"the app's URL": t.direct, "the pool's URL": t.pooled} {
		limited, cancel := context.WithTimeout(ctx, t.slack*writesWithin)
		if err := w.WaitForCommits(limited, 3); err != nil {
			t.found.add(t, c, "%s takes no writes: %v", name, err)
		}
		cancel()
	}
	now := time.Now()
	c.direct, c.pooled = t.direct.Between(c.began, now), t.pooled.Between(c.began, now)
	c.broken = c.pooled.Refused + c.pooled.Interrupted + c.pooled.Unknown + c.pooled.Failed
	t.judgeRun(c)
	t.audit(ctx, c)
	if left := t.leftGuardians(ctx); len(left) > 0 {
		t.found.add(t, c, "guardians %v are left %s after it", left, t.slack*guardsWithin)
	}
	if ids := t.leftOpen(ctx); len(ids) > 0 {
		t.found.add(t, c, "operations %v are open, and nobody has started them: %s", ids, t.control.dump(ctx))
	}
}

// judgeRun is about the operation itself and the pool's clients meanwhile.
func (t *trial) judgeRun(c *course) {
	harmed, breaks := false, false
	for _, h := range c.harms {
		harmed = harmed || h.told != ""
		breaks = breaks || h.breaks && h.told != ""
	}
	if c.last.NeedsPerson {
		t.found.add(t, c, "it says that it needs a person: %s", c.last.Reason)
	}
	if c.last.State == "undone" && !harmed {
		t.found.add(t, c, "it was put back although nothing happened: %s %s", c.last.Reason, c.last.Steps)
	}
	if c.goesOn > t.slack*goesOnWithin {
		t.found.add(t, c, "it went on %.1f s after the program was back", c.goesOn.Seconds())
	}
	if c.broken > 0 && !breaks {
		t.found.add(t, c, "%d transactions through the pool failed: %v %v", c.broken, c.pooled.Errors, c.pooled.Refusals)
	}
	if c.direct.Failed > 0 {
		t.found.add(t, c, "direct transactions failed in a way that no switch explains: %v", c.direct.Errors)
	}
	if c.moments.TwoWritable > 0 {
		t.found.twoWritable += c.moments.TwoWritable
		t.found.add(t, c, "two servers took writes: %+v", c.moments)
	}
}

// audit looks every acknowledged commit up.
func (t *trial) audit(ctx context.Context, c *course) {
	t.urls.Lock()
	url := t.urls.direct
	t.urls.Unlock()
	for name, w := range map[string]*ledger.Writers{"direct": t.direct, "pooled": t.pooled} {
		limited, cancel := context.WithTimeout(ctx, time.Minute)
		audit, err := w.Verify(limited, url)
		cancel()
		if err != nil {
			t.found.add(t, c, "the %s ledger cannot be read: %v", name, err)
			continue
		}
		t.found.acked[name] = audit.Acked
		if lost := len(audit.Lost); lost > 0 {
			t.found.lost += lost
			t.found.add(t, c, "%d acknowledged commits of the %s writers are missing, the first of them %v", lost, name, audit.Lost[0])
		}
		if unsound := len(audit.Unexpected) + len(audit.Unbalanced); unsound > 0 {
			t.found.unsound += unsound
			t.found.add(t, c, "rows of the %s writers that should not be there %v, or by half %v", name, audit.Unexpected, audit.Unbalanced)
		}
	}
}

func (t *trial) awaitReady(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for back := t.watchReady(ctx); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if !back.since().IsZero() {
			return true
		}
	}
	return false
}

func (t *trial) leftGuardians(ctx context.Context) []int {
	for deadline := time.Now().Add(t.slack * guardsWithin); ; time.Sleep(50 * time.Millisecond) {
		left := t.guardians()
		if len(left) == 0 || ctx.Err() != nil || time.Now().After(deadline) {
			return left
		}
	}
}

// leftOpen are operations that are open although none was started since.
func (t *trial) leftOpen(ctx context.Context) []int64 {
	for deadline := time.Now().Add(endsWithin); ; time.Sleep(100 * time.Millisecond) {
		ids, err := t.control.open(ctx)
		if err == nil && len(ids) == 0 || ctx.Err() != nil || time.Now().After(deadline) {
			return ids
		}
	}
}

// askForStacks makes the worker write down what each of its goroutines does, and end.
func (t *trial) askForStacks() {
	if pid, err := t.worker(); err == nil {
		_ = syscall.Kill(pid, syscall.SIGQUIT) // its log says the rest
	}
}

// logTail is the end of the program's log.
func (t *trial) logTail(size int) string {
	text, err := os.ReadFile(filepath.Join(t.dir, "program.log"))
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(text[max(0, len(text)-size):])
}
