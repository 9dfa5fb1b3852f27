// Package db owns the control database: Changeover's own tables and every
// question that is asked of them. One file a table; SQL is written by hand.
// It imports platform and the PostgreSQL driver only: never jobs, the engine,
// the views or the web.
package db

import (
	"context"
	"strings"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Limits of every connection to the control database.
const (
	connectTimeout   = 5 * time.Second
	statementTimeout = "30s"
	idleInTxTimeout  = "60s" // a frozen process must not hold row locks for ever
	maxConnections   = 24
)

// Querier is what one question needs; *pgxpool.Pool, *pgx.Conn and pgx.Tx meet it.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Beginner starts a transaction; on a pgx.Tx it is a savepoint.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Open connects to the control database and asks it once, so that a wrong
// address is an Unavailable sentence here and not a surprise later. The URL's
// password is in no error.
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The parser's own error quotes the URL, so it is dropped.
		return nil, platform.Invalid("DATABASE_URL", "DATABASE_URL is not a PostgreSQL URL. Write it as postgres://user:password@host:5432/database.")
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = maxConnections
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.ConnConfig.Tracer = queryCounter{}
	params := config.ConnConfig.RuntimeParams
	params["application_name"] = "changeover"
	params["statement_timeout"] = statementTimeout
	params["idle_in_transaction_session_timeout"] = idleInTxTimeout
	params["timezone"] = "UTC"
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		readTimesAsUTC(conn)
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, translate(err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, translate(err)
	}
	return pool, nil
}

// readTimesAsUTC keeps the machine's own time zone out of every page.
func readTimesAsUTC(conn *pgx.Conn) {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
}

// InTx runs fn in one transaction: committed when fn returns nil, else rolled
// back (also when it panics) and fn's error returned.
func InTx(ctx context.Context, b Beginner, fn func(tx pgx.Tx) error) error {
	return translate(pgx.BeginFunc(ctx, b, fn))
}

// Ping asks the control database whether it answers, for /readyz.
func Ping(ctx context.Context, q Querier) error {
	_, err := q.Exec(ctx, "select 1")
	return translate(err)
}

// one is the single row of a question; notFound is returned when there is none.
func one[T any](ctx context.Context, q Querier, notFound error, sql string, args ...any) (T, error) {
	var zero T
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return zero, translate(err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[T])
	if err == pgx.ErrNoRows {
		return zero, notFound
	}
	if err != nil {
		return zero, translate(err)
	}
	return v, nil
}

// many is every row of a question, in its order; never nil.
func many[T any](ctx context.Context, q Querier, sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	if err != nil {
		return nil, translate(err)
	}
	return list, nil
}

// value is the single value of a question that always has one row, or notFound.
func value[T any](ctx context.Context, q Querier, notFound error, sql string, args ...any) (T, error) {
	var v T
	err := q.QueryRow(ctx, sql, args...).Scan(&v)
	if err == pgx.ErrNoRows {
		return v, notFound
	}
	return v, translate(err)
}

// exec runs a statement and returns how many rows it touched (or, for a
// statement that ends in a select over what it touched, selected).
func exec(ctx context.Context, q Querier, sql string, args ...any) (int64, error) {
	tag, err := q.Exec(ctx, sql, args...)
	return tag.RowsAffected(), translate(err)
}

// mustTouch is exec for a row that has to be there: none touched is notFound.
func mustTouch(ctx context.Context, q Querier, notFound error, sql string, args ...any) error {
	n, err := exec(ctx, q, sql, args...)
	if err == nil && n == 0 {
		return notFound
	}
	return err
}
