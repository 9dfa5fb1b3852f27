package db

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

type queryCountKey struct{}

// CountQueries gives back ctx, in which every question to the control database
// is counted, and the count.
func CountQueries(ctx context.Context) (context.Context, *atomic.Int64) {
	n := new(atomic.Int64)
	return context.WithValue(ctx, queryCountKey{}, n), n
}

// queryCounter counts what the pool is asked in a context of CountQueries.
type queryCounter struct{}

// TraceQueryStart is called before each question, begin and commit included.
func (queryCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if n, ok := ctx.Value(queryCountKey{}).(*atomic.Int64); ok {
		n.Add(1)
	}
	return ctx
}

// TraceQueryEnd has nothing to do.
func (queryCounter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
