package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Analyze gathers the planner's statistics of the connection's database again:
// activity counters are lost at a promotion, and autovacuum would take its time.
// It gives up after timeout, keeping what it has done. It is meant to run in the
// background on its own connection.
func Analyze(ctx context.Context, conn *pgx.Conn, timeout time.Duration) error {
	if _, err := conn.Exec(ctx, "select set_config('statement_timeout', $1, false)", fmt.Sprintf("%dms", timeout.Milliseconds())); err != nil {
		return fmt.Errorf("analyze: %w", err)
	}
	_, err := conn.Exec(ctx, "analyze")
	if err != nil {
		err = fmt.Errorf("analyze: %w", err)
	}
	_, reset := conn.Exec(ctx, "reset statement_timeout")
	return errors.Join(err, reset)
}

// Marker writes a message into the leader's WAL, flushed, and gives the end of
// its record. No table is touched; a follower that has replayed up to it has
// replayed all that was committed before.
func Marker(ctx context.Context, leader Querier) (platform.LSN, error) {
	var end int64
	// A transactional message takes an id, so its commit flushes it.
	err := leader.QueryRow(ctx, "select (pg_logical_emit_message(true, 'changeover', 'marker') - '0/0')::bigint").Scan(&end)
	if err != nil {
		return 0, fmt.Errorf("write a marker: %w", err)
	}
	return lsn(end), nil
}

// FollowerProof is what tells that a follower really follows a leader. Rows of
// pg_stat_replication alone do not (safety 2).
type FollowerProof struct {
	Streaming      bool // its slot is in use by a walsender that streams
	SameTimeline   bool // it receives the leader's own timeline
	MarkerReplayed bool // what was written after the switch has arrived and is replayed
}

// Proven is whether all of it holds.
func (p FollowerProof) Proven() bool { return p.Streaming && p.SameTimeline && p.MarkerReplayed }

// Missing says in a sentence what does not hold yet; empty when proven.
func (p FollowerProof) Missing() string {
	switch {
	case !p.Streaming:
		return "The follower does not stream from the new leader yet."
	case !p.SameTimeline:
		return "The follower is not on the new leader's timeline yet."
	case !p.MarkerReplayed:
		return "The follower has not replayed what was written after the switch yet."
	}
	return ""
}

// ProveFollower looks once whether the follower follows the leader through slot
// and has replayed marker, which Marker wrote after the switch.
func ProveFollower(ctx context.Context, leader, follower Querier, slot string, marker platform.LSN) (FollowerProof, error) {
	var proof FollowerProof
	err := leader.QueryRow(ctx, `
		select exists (select from pg_replication_slots s join pg_stat_replication r on r.pid = s.active_pid
		                where s.slot_name = $1 and r.state = 'streaming')`, slot).Scan(&proof.Streaming)
	if err != nil {
		return FollowerProof{}, fmt.Errorf("prove the follower: %w", err)
	}
	timeline, err := Timeline(ctx, leader)
	if err != nil {
		return FollowerProof{}, err
	}
	position, err := FollowerPosition(ctx, follower)
	if err != nil {
		return FollowerProof{}, err
	}
	proof.SameTimeline = position.ReceivedTLI == timeline
	proof.MarkerReplayed = position.LSN >= marker
	return proof, nil
}
