package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"changeover/internal/platform"
)

// ErrNeverComes means that WAL is missing which the server has never received,
// and that nobody sends it any more.
var ErrNeverComes = errors.New("what is missing was never received, and nobody sends it")

// stalledFor is how long replay must not have moved before it is asked whether
// what is missing can still come. A candidate that was killed comes back without
// what it had not written, and the stopped leader sends nothing.
const stalledFor = time.Second

// ReplayedPast waits until the server in recovery has replayed the record that
// begins at record, which after a stop is the old leader's shutdown checkpoint:
// its last record, so nothing is missing then (safety 2). It asks every
// millisecond on the open connection. progress, if not nil, is told the bytes
// to go whenever they change. ErrNeverComes where nothing is left to wait for,
// which takes a stopped leader. When ctx ends in the middle of a question the
// connection is closed, as pgx does.
func ReplayedPast(ctx context.Context, candidate Querier, record platform.LSN, progress func(toGo int64)) error {
	told, last, moved := int64(-1), int64(-1), time.Now()
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
		if replayed != last {
			last, moved = replayed, time.Now()
		} else if time.Since(moved) > stalledFor {
			moved = time.Now() // asked again after as long
			if never, err := neverReceives(ctx, candidate, record); err == nil && never {
				return fmt.Errorf("wait for replay past %s, now at %s: %w", record, lsn(replayed), ErrNeverComes)
			}
		}
		if err := pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("wait for replay past %s, now at %s: %w", record, lsn(replayed), err)
		}
	}
}

// neverReceives is whether the record has not been received, nothing is being
// received, and replay waits for just that. Replay that is paused, slow, or waits
// for a query has more on the disk, whatever a server that was started again says
// that it has received.
func neverReceives(ctx context.Context, candidate Querier, record platform.LSN) (never bool, err error) {
	err = candidate.QueryRow(ctx, `
		select not exists (select from pg_stat_wal_receiver where status = 'streaming') and not pg_is_wal_replay_paused()
			and exists (select from pg_stat_activity where backend_type = 'startup' and wait_event in ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval'))
			and coalesce((pg_last_wal_receive_lsn() - '0/0')::bigint, 0) <= $1`, int64(record)).Scan(&never)
	return never, err
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
