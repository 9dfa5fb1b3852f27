package postgres

import (
	"context"
	"fmt"

	"changeover/internal/platform"
)

// ReplayedPast waits until the server in recovery has replayed the record that
// begins at record, which after a stop is the old leader's shutdown checkpoint:
// its last record, so nothing is missing then (safety 2). It asks every
// millisecond on the open connection. progress, if not nil, is told the bytes
// to go whenever they change. When ctx ends in the middle of a question the
// connection is closed, as pgx does.
func ReplayedPast(ctx context.Context, candidate Querier, record platform.LSN, progress func(toGo int64)) error {
	told := int64(-1)
	for {
		var replayed int64
		err := candidate.QueryRow(ctx, "select coalesce((pg_last_wal_replay_lsn() - '0/0')::bigint, 0)").Scan(&replayed)
		if isCode(err, codeConflict) {
			continue // replay went over it, and so it moves
		}
		if err != nil {
			return fmt.Errorf("wait for replay past %s: %w", record, err)
		}
		// The replay position is the end of the last record replayed, so it is
		// past the beginning of a record only when that one is replayed, too.
		if lsn(replayed) > record {
			return nil
		}
		if toGo := int64(record-lsn(replayed)) + 1; progress != nil && toGo != told {
			progress(toGo)
			told = toGo
		}
		if err := pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("wait for replay past %s, now at %s: %w", record, lsn(replayed), err)
		}
	}
}

// WaitWritable waits until the server has left recovery. It asks every
// millisecond on the open connection, which outlives the promotion. When ctx
// ends in the middle of a question the connection is closed, as pgx does.
func WaitWritable(ctx context.Context, q Querier) error {
	for {
		var inRecovery bool
		err := q.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&inRecovery)
		if isCode(err, codeConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for the end of recovery: %w", err)
		}
		if !inRecovery {
			return nil
		}
		if err := pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("wait for the end of recovery: %w", err)
		}
	}
}
