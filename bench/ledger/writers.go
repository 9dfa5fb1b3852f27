package ledger

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Writers are the running writers of one ledger. Two of them may run on a
// database at a time only with numbers of their own (Options.First); a later one
// goes on with what it finds.
type Writers struct {
	started time.Time
	options Options
	address *address
	writers []*writer
	cancel  context.CancelFunc
	done    chan struct{} // closed when the last writer has ended

	gate sync.RWMutex // a writer holds it for each attempt, a pause for all its length
}

// Start sets n writers to work, numbered from Options.First, until Stop or until
// ctx ends.
// The tables must be there (Setup). It does not wait for the first commit;
// WaitForCommits does.
func Start(ctx context.Context, source URLSource, n int, options Options) *Writers {
	ctx, cancel := context.WithCancel(ctx)
	options = options.withDefaults()
	w := &Writers{
		started: time.Now(),
		options: options,
		address: &address{source: source, fresh: options.Retry},
		cancel:  cancel,
		done:    make(chan struct{}),
	}
	var running sync.WaitGroup
	for i := range n {
		me := &writer{id: options.First + i}
		w.writers = append(w.writers, me)
		running.Go(func() { w.run(ctx, me) })
	}
	go func() {
		running.Wait()
		close(w.done)
	}()
	return w
}

// Stop lets each writer finish its transaction, ends their sessions, and
// reports the whole run. Calling it again only reports.
func (w *Writers) Stop() Report {
	w.cancel()
	<-w.done
	return w.Between(w.started, time.Now())
}

// Pause lets each writer finish its attempt and returns when all of them rest.
// Resume must follow, also before Stop. The books go on: a pause is a gap like any other to a
// Report whose stretch it lies in.
func (w *Writers) Pause() { w.gate.Lock() }

// Resume ends a Pause. The source is asked again, and the sessions that ended
// meanwhile count as refused.
func (w *Writers) Resume() { w.gate.Unlock() }

// WaitForCommits returns when every writer has had k commits acknowledged that
// it began after this call: what is known then is that all of them write. When
// ctx ends first, the error says how far it came and names the last error.
func (w *Writers) WaitForCommits(ctx context.Context, k int) error {
	since := time.Since(w.started)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		least, last := w.progress(since)
		if least >= k {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the slowest writer had %d of %d commits acknowledged (last error: %v): %w", least, k, last, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// progress is the least number of commits that a writer began after since and
// got acknowledged, and the newest error of any writer.
func (w *Writers) progress(since time.Duration) (least int, last error) {
	var lastAt time.Duration
	for i, me := range w.writers {
		me.mu.Lock()
		count := 0
		for j := len(me.acks) - 1; j >= 0 && me.acks[j].start >= since; j-- {
			count++
		}
		if j := len(me.attempts) - 1; j >= 0 && me.attempts[j].end >= lastAt {
			last, lastAt = me.attempts[j].err, me.attempts[j].end
		}
		me.mu.Unlock()
		if i == 0 || count < least {
			least = count
		}
	}
	return least, last
}
