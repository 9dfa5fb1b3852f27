package jobs

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// engineLock is the object in lockSpace that the process which holds the engine
// has locked; operations have positive ones.
const engineLock = 0

// holdEngine runs operations and watches the servers while this process is the
// one among those on the same control database that holds the engine. The
// others serve pages, and the next one takes over when it goes.
func (j *Jobs) holdEngine(ctx context.Context) {
	for ctx.Err() == nil {
		conn := j.winEngine(ctx, true)
		if conn == nil {
			return
		}
		held, letGo := context.WithCancel(ctx)
		if err := j.work(held); err != nil {
			j.Log.Error("the runners do not start; they are started again", "error", err)
			closeSoon(conn) // with the lock: whoever starts runners next needs it
		} else {
			j.keepEngine(ctx, conn)
		}
		j.rest()
		letGo()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// winEngine waits until the lock is ours; nil when ctx ends, or when it is
// another's and waitForOthers is false.
func (j *Jobs) winEngine(ctx context.Context, waitForOthers bool) *pgx.Conn {
	told := false
	for {
		conn, won, err := j.tryEngine(ctx)
		switch {
		case won:
			return conn
		case err == nil && !waitForOthers:
			return nil
		case err == nil && !told:
			told = true
			j.Log.Info("another process holds the engine; this one serves pages until that one goes")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (j *Jobs) tryEngine(ctx context.Context) (conn *pgx.Conn, won bool, err error) {
	conn, err = pgx.ConnectConfig(ctx, j.Pool.Config().ConnConfig.Copy())
	if err != nil {
		return nil, false, err
	}
	if err = conn.QueryRow(ctx, `select pg_try_advisory_lock($1, $2)`, lockSpace, engineLock).Scan(&won); err != nil || !won {
		closeSoon(conn)
		return nil, false, err
	}
	return conn, true, nil
}

// keepEngine returns when ctx ends or when another process has the lock. A
// control database that only restarted is no reason to let operations go: each
// has its own election and its epochs.
func (j *Jobs) keepEngine(ctx context.Context, conn *pgx.Conn) {
	for conn != nil {
		// Nothing is ever sent on it: it returns when the connection breaks.
		_, _ = conn.WaitForNotification(ctx)
		closeSoon(conn)
		if ctx.Err() != nil {
			return
		}
		conn = j.winEngine(ctx, false)
	}
	j.Log.Warn("another process has taken the engine over")
}
