package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Preparation is what a switch readies on its candidate.
type Preparation struct {
	// Slots are to be made on the candidate for the leader's other followers.
	Slots []string
	// NoCheckpoint leaves the checkpoints out: somebody waits already.
	NoCheckpoint bool
}

// Prepared is what PrepareCandidate found and did.
type Prepared struct {
	// SynchronousCleared is whether synchronous_standby_names was set on the
	// candidate and is empty now: from its promotion on it commits alone, which
	// the caller records ("async since") before it promotes.
	SynchronousCleared bool
	// SlotsMade are the slots that are there now for the other followers.
	SlotsMade []string
}

// PrepareCandidate readies a leader and the follower that is about to take its
// place, while the app goes on: checkpoints on both, so that the stop is short
// and the promotion has little to replay; conflicting queries on the candidate
// are cancelled from now on instead of holding replay up; slots for the other
// followers; no synchronous standby that could hold the first commits. It may
// run again. ResetCandidate takes it back.
func PrepareCandidate(ctx context.Context, leader, candidate Querier, p Preparation) (Prepared, error) {
	var done Prepared
	// Slots come before the checkpoint: they keep WAL from the last restart
	// point on, and an earlier one keeps more.
	for _, name := range p.Slots {
		if err := CreatePhysicalSlot(ctx, candidate, name); err != nil {
			return done, err
		}
		done.SlotsMade = append(done.SlotsMade, name)
	}
	var synchronous string
	if err := candidate.QueryRow(ctx, "select current_setting('synchronous_standby_names')").Scan(&synchronous); err != nil {
		return done, fmt.Errorf("prepare the candidate: %w", err)
	}
	settings := []string{"alter system set max_standby_streaming_delay = 0"}
	if synchronous != "" {
		settings = append(settings, "alter system set synchronous_standby_names = ''")
		done.SynchronousCleared = true
	}
	if err := alterSystem(ctx, candidate, "max_standby_streaming_delay", "0", settings...); err != nil {
		return done, err
	}
	if p.NoCheckpoint {
		return done, nil
	}
	return done, CheckpointUntilShort(ctx, leader, candidate)
}

const (
	// shortCheckpoint is one after which another would save nothing worth waiting for.
	shortCheckpoint = 300 * time.Millisecond
	// mostCheckpoints bounds how often a leader is asked for one before a stop.
	mostCheckpoints = 3
)

// CheckpointUntilShort is Checkpoint of both servers, and of the leader again as
// long as that gets clearly shorter: under a heavy load the first one takes
// seconds, in which pages are written that the stop would have to write, while
// the app waits. A candidate's own matters to nobody who waits.
func CheckpointUntilShort(ctx context.Context, leader, candidate Querier) error {
	began := time.Now()
	if err := Checkpoint(ctx, leader, candidate); err != nil {
		return err
	}
	for n, last := 1, time.Since(began); n < mostCheckpoints && last > shortCheckpoint; n++ {
		began = time.Now()
		if err := Checkpoint(ctx, leader); err != nil {
			return err
		}
		took := time.Since(began)
		if took > last*2/3 {
			break
		}
		last = took
	}
	return nil
}

// ResetCandidate gives a server its own max_standby_streaming_delay back: after
// a switch, and when one is undone. synchronous_standby_names stays as the
// switch left it: what it is to be is the caller's recorded state. Harmless
// where nothing was prepared.
func ResetCandidate(ctx context.Context, q Querier) error {
	return alterSystem(ctx, q, "max_standby_streaming_delay", "", "alter system reset max_standby_streaming_delay")
}

// alterSystem changes settings, reloads, and waits until this connection sees
// name at want ("" = do not wait); the other processes read it in the same moment.
func alterSystem(ctx context.Context, q Querier, name, want string, statements ...string) error {
	for _, statement := range append(statements, "select pg_reload_conf()") {
		if _, err := q.Exec(ctx, statement); err != nil {
			return fmt.Errorf("change %s: %w", name, err)
		}
	}
	if want == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		var now string
		err := q.QueryRow(ctx, "select setting from pg_settings where name = $1", name).Scan(&now)
		if isCode(err, codeConflict) {
			continue // the setting works already
		}
		if err != nil {
			return fmt.Errorf("wait for %s to be %s: %w", name, want, err)
		}
		if now == want {
			return nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("%s is still %s, not %s: %w", name, now, want, err)
		}
	}
}

// Checkpoint runs a CHECKPOINT (in recovery: a restart point) on every server
// at the same time and returns when all are complete.
func Checkpoint(ctx context.Context, servers ...Querier) error {
	results := make(chan error, len(servers))
	for _, q := range servers {
		go func() {
			_, err := q.Exec(ctx, "checkpoint")
			results <- err
		}()
	}
	var all error
	for range servers {
		all = errors.Join(all, <-results)
	}
	if all != nil {
		return fmt.Errorf("checkpoint: %w", all)
	}
	return nil
}

// CheckpointedSincePromotion is whether the server's last completed checkpoint
// is on the timeline that it writes: before that, a crash would replay the
// promotion itself, and a copy of it would begin on the old timeline.
func CheckpointedSincePromotion(ctx context.Context, q Querier) (bool, error) {
	timeline, err := Timeline(ctx, q)
	if err != nil {
		return false, err
	}
	var last int
	if err := q.QueryRow(ctx, "select timeline_id from pg_control_checkpoint()").Scan(&last); err != nil {
		return false, fmt.Errorf("read the last checkpoint: %w", err)
	}
	return last == timeline, nil
}
