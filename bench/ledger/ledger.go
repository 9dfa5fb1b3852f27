// Package ledger keeps accounts of a database from outside, the way an app
// would write to it: a few writers insert numbered rows over their own
// connections and remember, each for itself, which commits were acknowledged.
// Afterwards every acknowledged row is looked up, so that "nothing is missing"
// is counted and never assumed. It is shared by the benchmarks and by the tests
// of internal/jobs; it imports only pgx and the standard library, nothing of
// ours.
//
//	if err := ledger.Setup(ctx, url); err != nil { … }
//	w := ledger.Start(ctx, source, 8, ledger.Options{})
//	if err := w.WaitForCommits(ctx, 20); err != nil { … }
//	… the switch …
//	if err := w.WaitForCommits(ctx, 20); err != nil { … }
//	report := w.Stop()
//	audit, err := w.Verify(ctx, newURL) // len(audit.Lost) must be 0
package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// URLSource says where the writers should write now. It is asked once at the
// start and again after every error, at most once every Options.Retry by all
// writers together, as the processes of one app would share their config vars.
type URLSource func(ctx context.Context) (string, error)

// Fixed is a source that always names the same database.
func Fixed(url string) URLSource {
	return func(context.Context) (string, error) { return url, nil }
}

// Options change how the writers behave; the zero value is what the benchmarks
// use.
type Options struct {
	// Pace is how long a writer rests after each acknowledged commit; 0 means
	// that it writes as fast as the server answers.
	Pace time.Duration
	// Retry is how often the source is asked after an error, and the least time
	// between the beginnings of two attempts of a writer; 5 ms when 0.
	Retry time.Duration
	// Reconnect is how long a writer waits before it tries once more at a URL
	// where it was refused; a new URL it tries at once. 25 ms when 0: a server
	// that stops answers each attempt with a process and a TLS handshake, and
	// eight writers that ask all the time would be what the stop waits for.
	Reconnect time.Duration
	// ConnectTimeout ends an attempt to connect; 2 s when 0.
	ConnectTimeout time.Duration
	// AnswerTimeout ends a transaction that gets no answer, whose outcome is
	// unknown if its commit was already sent; 10 s when 0.
	AnswerTimeout time.Duration
	// AllSynchronous leaves synchronous_commit alone everywhere. Otherwise the
	// first writer turns it off: a server that is stopped as it should be keeps those
	// commits, too.
	AllSynchronous bool
	// Pooled is for writers behind a pool that gives each transaction another
	// session: nothing is prepared by name, and the first turns synchronous_commit
	// off in each of its transactions.
	Pooled bool
	// First is the number of the first writer: where two Writers share a database,
	// so that each has rows of its own.
	First int
}

func (o Options) withDefaults() Options {
	if o.Retry == 0 {
		o.Retry = 5 * time.Millisecond
	}
	if o.Reconnect == 0 {
		o.Reconnect = 25 * time.Millisecond
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = 2 * time.Second
	}
	if o.AnswerTimeout == 0 {
		o.AnswerTimeout = 10 * time.Second
	}
	return o
}

// Entry is one row of the ledger: the N-th transaction of a writer.
type Entry struct {
	Writer int
	N      int64
}

const schema = `
create table if not exists ledger (
  writer integer not null,
  n      bigint not null,
  primary key (writer, n)
);
create table if not exists balance (
  writer integer primary key,
  total  bigint not null
)`

// Setup makes the two tables in the database at url, if they are not there:
// ledger(writer, n), and balance(writer, total), whose total is the number of
// the writer's ledger rows in every consistent view.
func Setup(ctx context.Context, url string) error {
	conn, err := connect(ctx, url)
	if err != nil {
		return fmt.Errorf("make the ledger's tables: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, schema, pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("make the ledger's tables: %w", err)
	}
	return nil
}

// connect opens a session without pgx's prepared statements: after a switch the
// first transaction must not pay for preparing.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		// The error of ParseConfig quotes the URL, and with it the password.
		return nil, fmt.Errorf("the database URL cannot be read")
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.StatementCacheCapacity = 0
	config.DescriptionCacheCapacity = 0
	return pgx.ConnectConfig(ctx, config)
}
