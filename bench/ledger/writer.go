package ledger

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// outcome is how one attempt to write ended.
type outcome int

const (
	acked       outcome = iota
	refused             // not a thing was done: no address, no connection, or read-only
	interrupted         // the session ended before commit was sent: certainly rolled back
	unknown             // commit was sent and never answered
	failed              // an error that no switch explains
)

// attempt is one that was not acknowledged.
type attempt struct {
	n          int64 // 0 when it came to no transaction
	start, end time.Duration
	outcome    outcome
	err        error
}

// ack is one acknowledged commit; times are since Writers.started.
type ack struct {
	n         int64
	start, at time.Duration
}

// opening is how an attempt got its session: when it began, knew where to
// connect, and was connected.
type opening struct{ start, asked, connected time.Duration }

// writer is one session that writes; its lists are guarded by mu.
type writer struct {
	id   int
	last int64 // the highest n that was there before, or was used

	url   string        // where it connected last, or tried to
	tried time.Duration // when it began to

	mu       sync.Mutex
	opens    []opening
	first    int64 // n of the first transaction of this run
	acks     []ack
	attempts []attempt
}

func (w *Writers) run(ctx context.Context, me *writer) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			w.hangUp(ctx, conn)
		}
	}()
	for ctx.Err() == nil {
		conn = w.attempt(ctx, me, conn)
	}
}

// attempt is one try to write over conn, or over a new session when it is nil,
// and the rest after it. It returns the session, nil when it is of no more use.
func (w *Writers) attempt(ctx context.Context, me *writer, conn *pgx.Conn) *pgx.Conn {
	w.gate.RLock()
	start := time.Since(w.started)
	if conn == nil {
		var err error
		if conn, err = w.open(ctx, me, start); err != nil {
			if ctx.Err() == nil && !errors.Is(err, errTooSoon) {
				me.record(attempt{start: start, end: time.Since(w.started), outcome: refused, err: err})
			}
			w.gate.RUnlock()
			w.rest(ctx, start+w.options.Retry)
			return nil
		}
	}
	me.last++
	result, err := w.write(ctx, conn, me.id, me.last)
	end := time.Since(w.started)
	if result == acked {
		me.acknowledge(ack{n: me.last, start: start, at: end})
		w.gate.RUnlock()
		w.rest(ctx, end+w.options.Pace)
		return conn
	}
	me.record(attempt{n: me.last, start: start, end: end, outcome: result, err: err})
	w.hangUp(ctx, conn)
	w.gate.RUnlock()
	w.rest(ctx, start+w.options.Retry)
	return nil
}

// errTooSoon means that nothing was tried: the URL is still the one that refused.
var errTooSoon = errors.New("the URL has not changed")

// open connects to where the source says. The first session of a run also
// reads which numbers are taken, and makes the writer's balance row.
func (w *Writers) open(ctx context.Context, me *writer, now time.Duration) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, w.options.ConnectTimeout)
	defer cancel()
	url, err := w.address.get(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	if url == me.url && now-me.tried < w.options.Reconnect {
		return nil, errTooSoon
	}
	me.url, me.tried = url, now
	opened := opening{start: now, asked: time.Since(w.started)}
	conn, err := connect(ctx, url)
	if err != nil {
		return nil, err
	}
	opened.connected = time.Since(w.started)
	me.mu.Lock()
	me.opens = append(me.opens, opened)
	me.mu.Unlock()
	if me.id == w.options.First && !w.options.AllSynchronous && !w.options.Pooled {
		_, err = conn.Exec(ctx, "set synchronous_commit = off")
	}
	if err == nil && me.first == 0 {
		err = me.prepare(ctx, conn)
	}
	if err != nil {
		w.hangUp(ctx, conn)
		return nil, err
	}
	return conn, nil
}

func (me *writer) prepare(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "insert into balance values ($1, 0) on conflict do nothing", me.id)
	if err != nil {
		return err
	}
	err = conn.QueryRow(ctx, "select coalesce(max(n), 0) from ledger where writer = $1", me.id).Scan(&me.last)
	if err != nil {
		return err
	}
	me.mu.Lock()
	me.first = me.last + 1
	me.mu.Unlock()
	return nil
}

// write is one transaction in four round trips, as an app would do it. It is
// not cut short by Stop, so that Stop makes no transaction unknown.
func (w *Writers) write(ctx context.Context, conn *pgx.Conn, id int, n int64) (outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.options.AnswerTimeout)
	defer cancel()
	begin := "begin"
	if id == w.options.First && w.options.Pooled && !w.options.AllSynchronous {
		begin = "begin; set local synchronous_commit = off"
	}
	if _, err := conn.PgConn().Exec(ctx, begin).ReadAll(); err != nil {
		return judge(err, refused), err
	}
	if _, err := conn.Exec(ctx, "insert into ledger values ($1, $2)", id, n); err != nil {
		return judge(err, interrupted), err
	}
	tag, err := conn.Exec(ctx, "update balance set total = total + 1 where writer = $1", id)
	if err != nil {
		return judge(err, interrupted), err
	}
	if tag.RowsAffected() != 1 {
		return failed, errors.New("the writer's balance row is missing")
	}
	tag, err = conn.Exec(ctx, "commit")
	if err != nil {
		return judge(err, unknown), err
	}
	if tag.String() != "COMMIT" {
		return failed, errors.New("commit was answered with " + tag.String())
	}
	return acked, nil
}

// judge says what an error means for a transaction that, had its session just
// ended here, would be ended.
func judge(err error, ended outcome) outcome {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return ended // the connection broke
	}
	switch pgErr.Code {
	case "25006", "55P03": // read-only: a server in recovery; its rows are locked: a database that is being copied
		return refused
	case "57P01", "57P02", "57P03", "57P05": // shutting down, crashing, starting up
		return ended
	}
	if pgErr.Code[:2] == "08" {
		return ended
	}
	return failed
}

func (w *Writers) hangUp(ctx context.Context, conn *pgx.Conn) {
	// A session that is not well gets no goodbye that could take its time.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 100*time.Millisecond)
	defer cancel()
	_ = conn.Close(ctx)
}

// rest waits until the moment until, in time since w.started, or for ctx.
func (w *Writers) rest(ctx context.Context, until time.Duration) {
	d := until - time.Since(w.started)
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (me *writer) acknowledge(a ack) {
	me.mu.Lock()
	defer me.mu.Unlock()
	me.acks = append(me.acks, a)
}

func (me *writer) record(a attempt) {
	me.mu.Lock()
	defer me.mu.Unlock()
	me.attempts = append(me.attempts, a)
}

// address is the newest answer of the source, shared by all writers.
type address struct {
	source URLSource
	fresh  time.Duration

	mu       sync.Mutex
	asked    time.Time
	answered time.Time
	url      string
	err      error
}

// get asks the source for a writer that came at the time arrived, unless an
// answer came while it waited its turn: one question is for all of them.
func (a *address) get(ctx context.Context, arrived time.Time) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answered.Before(arrived) && time.Since(a.asked) >= a.fresh {
		a.asked = time.Now()
		a.url, a.err = a.source(ctx)
		a.answered = time.Now()
		if a.err == nil && a.url == "" {
			a.err = errors.New("the source knows no database URL")
		}
	}
	return a.url, a.err
}
