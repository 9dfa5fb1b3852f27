// Package postgres speaks SQL to the managed servers: how far they have come,
// what goes on in them, what a switch would meet, and the write probe that
// measures it. It takes open connections as superuser and knows nothing of how
// a server is made, started or stopped; it must import nothing of ours but
// package platform.
package postgres

import (
	"context"
	"errors"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Querier is one open connection (or transaction) to a managed server.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// pollEvery is the pause between two looks inside an outage. One look over a
// socket costs about 0.1 ms, so 1 ms adds half of itself to what is waited for.
const pollEvery = time.Millisecond

// The SQLSTATEs that decisions are made on.
const (
	codeDuplicateObject = "42710"
	codeObjectInUse     = "55006"
	codeUndefinedObject = "42704"
	codeLockTimeout     = "55P03"
	// codeConflict is also a query on a server in recovery that stood in the way
	// of replay; with max_standby_streaming_delay = 0 our own small ones do, too.
	codeConflict = "40001"
)

func isCode(err error, code string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == code
}

// lsn reads an LSN that a query gave as its distance from 0/0.
func lsn(n int64) platform.LSN { return platform.LSN(uint64(n)) }

// pause waits for d, or less when ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
