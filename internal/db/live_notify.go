package db

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// LiveChannel is the one NOTIFY channel that browsers' pages are kept fresh by.
const LiveChannel = "live"

// Payloads of LiveChannel that carry no id.
const (
	LiveDatabases = "databases" // the list of databases changed
	LiveRail      = "rail"      // a count beside the navigation changed
	// LiveMaintenances is sent when a maintenance, its time or a blackout changed.
	LiveMaintenances = "maintenances"
)

// LiveDatabase is the payload for a change of one database.
func LiveDatabase(id int64) string { return "database:" + strconv.FormatInt(id, 10) }

// LiveOperation is the payload for a change of one operation.
func LiveOperation(id int64) string { return "operation:" + strconv.FormatInt(id, 10) }

// LiveApp is the payload for a change of one app.
func LiveApp(id int64) string { return "app:" + strconv.FormatInt(id, 10) }

// LiveNotice is the payload for a new notice.
func LiveNotice(id int64) string { return "notice:" + strconv.FormatInt(id, 10) }

// LiveReads is the payload for what a user has marked read or unread; it is no topic.
func LiveReads(userID int64) string { return "reads:" + strconv.FormatInt(userID, 10) }

// Three payloads are no topics: "reach:" and a database's id is for one that was
// attached or detached, which decides who may see it; "access:" and a user's id
// for a change of that user's roles; "ended:" and a user's id for the end of all of
// that user's sessions.

// liveEnded is the payload for the end of all of a user's sessions.
func liveEnded(userID int64) string { return "ended:" + strconv.FormatInt(userID, 10) }

// Notify tells every process that listens what changed, when q's transaction
// commits. PostgreSQL folds equal payloads of one transaction into one.
func Notify(ctx context.Context, q Querier, payloads ...string) error {
	if len(payloads) == 0 {
		return nil
	}
	_, err := exec(ctx, q, `select pg_notify('live', p) from unnest($1::text[]) p`, payloads)
	return err
}

// Listen opens its own connection beside the pool, calls listening once it
// hears everything from now on, and payload for each message, until ctx ends
// or the connection breaks; the caller starts it again and refetches.
func Listen(ctx context.Context, pool *pgxpool.Pool, listening func(), payload func(string)) error {
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	if err != nil {
		return translate(err)
	}
	// A broken or cancelled connection has nothing left to say goodbye to.
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "listen "+LiveChannel); err != nil {
		return translate(err)
	}
	listening()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return translate(err)
		}
		payload(n.Payload)
	}
}
