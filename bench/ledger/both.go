package ledger

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// TwoWritable watches a switch from outside: it tries to write on the old and
// on the new leader, each every few milliseconds over its own connection, and
// keeps what was accepted when. Its write is a transaction that takes an id and
// touches no table.
type TwoWritable struct {
	started time.Time
	cancel  context.CancelFunc
	running sync.WaitGroup
	sides   [2]side
}

type side struct {
	url      string
	tries    int
	accepted []span
}

// span is one accepted write: it happened at some moment inside.
type span struct{ start, end time.Duration }

// WatchBoth begins to try both servers, every so often (5 ms when 0), until
// Stop or until ctx ends. A session that a server ends is opened again at once,
// and so is one to a server that was down.
func WatchBoth(ctx context.Context, oldURL, newURL string, every time.Duration) *TwoWritable {
	if every == 0 {
		every = 5 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(ctx)
	t := &TwoWritable{started: time.Now(), cancel: cancel}
	t.sides[0].url, t.sides[1].url = oldURL, newURL
	for i := range t.sides {
		t.running.Add(1)
		go func() {
			defer t.running.Done()
			t.watch(ctx, &t.sides[i], every)
		}()
	}
	return t
}

// Moments is what TwoWritable saw.
type Moments struct {
	// TwoWritable counts the writes that the old leader accepted although the
	// new one had already accepted one before they were sent. One is too many.
	TwoWritable int
	// OldTries and NewTries are how many writes were tried, OldAccepted and
	// NewAccepted how many of them went through.
	OldTries, OldAccepted int
	NewTries, NewAccepted int
	// NoneWritable is the time between the end of the old leader's last accepted
	// write and the first one of the new; 0 when one of them accepted none.
	NoneWritable time.Duration
}

// Stop ends the watch and counts.
func (t *TwoWritable) Stop() Moments {
	t.cancel()
	t.running.Wait()
	before, after := t.sides[0], t.sides[1]
	m := Moments{OldTries: before.tries, OldAccepted: len(before.accepted), NewTries: after.tries, NewAccepted: len(after.accepted)}
	if len(after.accepted) == 0 {
		return m
	}
	turned := after.accepted[0].end
	for _, s := range before.accepted {
		if s.start > turned {
			m.TwoWritable++
		}
	}
	if n := len(before.accepted); n > 0 {
		m.NoneWritable = max(0, after.accepted[0].end-before.accepted[n-1].end)
	}
	return m
}

func (t *TwoWritable) watch(ctx context.Context, s *side, every time.Duration) {
	var conn *pgx.Conn
	for ctx.Err() == nil {
		next := time.Now().Add(every)
		if conn == nil {
			opening, cancel := context.WithTimeout(ctx, 2*time.Second)
			conn, _ = connect(opening, s.url)
			cancel()
		}
		var wait time.Duration
		if conn == nil {
			// A server that is starting or stopping answers each connection with a
			// new process: do not slow it down by asking too often.
			wait = 10 * time.Millisecond
		} else {
			s.tries++
			start := time.Since(t.started)
			err := tryWrite(ctx, conn)
			if err == nil {
				s.accepted = append(s.accepted, span{start, time.Since(t.started)})
			}
			if conn.IsClosed() {
				conn = nil
			}
			wait = time.Until(next)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	if conn != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 100*time.Millisecond)
		defer cancel()
		_ = conn.Close(closing)
	}
}

// tryWrite asks for a transaction id, which only a server outside of recovery
// gives, and says begin read write, since a session's read-only default is no
// proof of anything.
func tryWrite(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := conn.Exec(ctx, "begin read write"); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "select pg_current_xact_id()"); err != nil {
		_, _ = conn.Exec(ctx, "rollback")
		return err
	}
	_, err := conn.Exec(ctx, "commit")
	return err
}
