package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"changeover/internal/platform/platformtest"
)

// A candidate that was down when the last was written, and finds its leader
// stopped, is not waited for.
func TestReplayThatNeverComes(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.catchUp(t)
	check(t, p.platform.Stop(t.Context(), platformtest.Epoch, p.follower.Server))
	run(t, p.leader.Connect(t), "create table t (n int)", "insert into t select generate_series(1, 1000)")
	shutdown := p.stopLeader(t)
	p.follower.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := ReplayedPast(ctx, p.follower.ConnectAdmin(t), shutdown, nil); !errors.Is(err, ErrNeverComes) {
		t.Errorf("it waits for what never comes: %v", err)
	}
}

// Replay that is only paused has everything, so it is waited for.
func TestReplayThatIsPausedComes(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.catchUp(t)
	admin := p.follower.ConnectAdmin(t)
	run(t, admin, "select pg_wal_replay_pause()")
	run(t, p.leader.Connect(t), "create table t (n int)", "insert into t select generate_series(1, 1000)")
	shutdown := p.stopLeader(t)
	other := p.follower.ConnectAdmin(t)
	resumed := make(chan error, 1)
	go func() {
		time.Sleep(3 * stalledFor) // longer than it waits before it asks, which is what is tested
		_, err := other.Exec(context.Background(), "select pg_wal_replay_resume()")
		resumed <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	check(t, ReplayedPast(ctx, admin, shutdown, nil))
	check(t, <-resumed)
}
