package jobs

import (
	"context"
	"sync"
	"time"
)

// turns lets one at a time do something for each key, and few wait for it: who
// would be one too many goes away at once and comes again, so that what waits
// for a slow one keeps no place that another could use.
type turns struct {
	most     int           // for a key, the one whose turn it is among them
	patience time.Duration // how long one waits for its turn

	mu  sync.Mutex
	all map[int64]*turn
}

type turn struct {
	free    chan struct{} // holds one while it is nobody's turn
	here    int
	refused int // since it was somebody's turn last
}

// take waits for a turn of key. Where again is 0 it is the caller's, who calls
// done afterwards; else the caller is to come again after that long.
func (t *turns) take(ctx context.Context, key int64) (done func(), again time.Duration) {
	t.mu.Lock()
	it := t.all[key]
	if it == nil {
		it = &turn{free: make(chan struct{}, 1)}
		it.free <- struct{}{}
		if t.all == nil {
			t.all = map[int64]*turn{}
		}
		t.all[key] = it
	}
	if it.here >= t.most {
		defer t.mu.Unlock()
		return nil, it.later()
	}
	it.here++
	t.mu.Unlock()

	wait := time.NewTimer(t.patience)
	defer wait.Stop()
	select {
	case <-it.free:
		return func() { t.leave(key, it, true) }, 0
	case <-wait.C:
	case <-ctx.Done():
	}
	t.leave(key, it, false)
	t.mu.Lock()
	defer t.mu.Unlock()
	return nil, it.later()
}

// later is when one that had no turn comes again: the more there were, the later.
func (it *turn) later() time.Duration {
	it.refused++
	return min(time.Second+time.Duration(it.refused)*50*time.Millisecond, 15*time.Second)
}

func (t *turns) leave(key int64, it *turn, had bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if had {
		it.refused = 0
		it.free <- struct{}{}
	}
	if it.here--; it.here == 0 {
		delete(t.all, key)
	}
}
