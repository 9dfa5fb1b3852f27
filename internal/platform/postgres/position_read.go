package postgres

import (
	"context"
	"errors"
	"fmt"

	"changeover/internal/platform"
)

// ErrNotInRecovery means that a server asked as a follower takes writes: it was
// promoted, and its position says nothing about a leader any more.
var ErrNotInRecovery = errors.New("the server is not in recovery: it is no follower any more")

// ErrInRecovery means that a server asked as a leader is in recovery: it is
// fenced or a follower, and its WAL does not grow by its own writes.
var ErrInRecovery = errors.New("the server is in recovery: it is no leader now")

// Position is how far a server has come, as of one moment.
type Position struct {
	LSN platform.LSN // leader: end of the WAL written; follower: end of the WAL replayed
	// XMax is the first transaction id that was not yet completed. The
	// difference between two servers' is what "commits behind" counts.
	XMax int64
	// ReplayPaused and Streaming are a follower's: whether somebody paused its
	// replay, and whether it receives WAL from a leader now.
	ReplayPaused bool
	Streaming    bool
	ReceivedTLI  int // timeline of what it receives; 0 while not streaming
}

// Behind is how far a follower is behind its leader, when the leader was read
// first. A follower that has replayed all that the leader had written is 0
// commits behind, whatever its snapshot said: that is taken a moment before its
// replay position, and on a busy machine hundreds of commits lie between.
func Behind(leader, follower Position) (commits, bytes int64) {
	bytes = leader.LSN.Minus(follower.LSN)
	if bytes == 0 {
		return 0, 0
	}
	return max(0, leader.XMax-follower.XMax), bytes
}

// LeaderPosition reads a leader's position in one round trip. A server in
// recovery gives ErrInRecovery.
func LeaderPosition(ctx context.Context, q Querier) (Position, error) {
	var p Position
	var inRecovery bool
	var end int64
	// pg_current_wal_lsn raises an error in recovery, so it is asked only outside.
	err := q.QueryRow(ctx, `
		select pg_is_in_recovery(),
		       case when pg_is_in_recovery() then 0 else (pg_current_wal_lsn() - '0/0')::bigint end,
		       pg_snapshot_xmax(pg_current_snapshot())::text::bigint`).Scan(&inRecovery, &end, &p.XMax)
	if err != nil {
		return Position{}, fmt.Errorf("read the leader's position: %w", err)
	}
	if inRecovery {
		return Position{}, ErrInRecovery
	}
	p.LSN = lsn(end)
	return p, nil
}

// FollowerPosition reads a follower's position in one round trip: what it has
// replayed, never what it has only received (safety 7). A server that is not in
// recovery gives ErrNotInRecovery.
func FollowerPosition(ctx context.Context, q Querier) (Position, error) {
	var p Position
	var inRecovery bool
	var replayed int64
	err := q.QueryRow(ctx, `
		select pg_is_in_recovery(),
		       coalesce((pg_last_wal_replay_lsn() - '0/0')::bigint, 0),
		       pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
		       case when pg_is_in_recovery() then pg_is_wal_replay_paused() else false end,
		       coalesce((select r.status = 'streaming' from pg_stat_wal_receiver r), false),
		       coalesce((select r.received_tli from pg_stat_wal_receiver r where r.status = 'streaming'), 0)`,
	).Scan(&inRecovery, &replayed, &p.XMax, &p.ReplayPaused, &p.Streaming, &p.ReceivedTLI)
	if err != nil {
		return Position{}, fmt.Errorf("read the follower's position: %w", err)
	}
	if !inRecovery {
		return Position{}, ErrNotInRecovery
	}
	p.LSN = lsn(replayed)
	return p, nil
}
