package postgres

import (
	"errors"
	"testing"
	"time"

	"changeover/internal/platform"
)

// measure takes one sample of both and gives the lag.
func measure(t *testing.T, tracker *Tracker, leader, follower Querier) platform.Lag {
	t.Helper()
	l, err := LeaderPosition(t.Context(), leader)
	check(t, err)
	now := time.Now()
	tracker.Leader(now, l)
	f, err := FollowerPosition(t.Context(), follower)
	check(t, err)
	tracker.Follower(1, now, f)
	return tracker.Lag(1, now)
}

func testLag(t *testing.T, p *pair) {
	ctx := t.Context()
	leader, follower := p.leader.ConnectAdmin(t), p.follower.ConnectAdmin(t)
	app := p.leader.Connect(t)
	tracker := NewTracker(3 * time.Second)

	run(t, app)
	caughtUp := func() bool { l := measure(t, tracker, leader, follower); return l.Bytes == 0 && l.Commits == 0 }
	eventually(t, "an idle leader's follower at 0", caughtUp)
	for range 10 {
		if l := measure(t, tracker, leader, follower); !l.Known || l.Commits != 0 || l.Bytes != 0 || l.Seconds != 0 {
			t.Fatalf("idle leader: %+v, want exactly 0", l)
		}
		for range 20 { // reading burns no transaction id
			_, err := leader.Exec(ctx, "select count(*) from pg_class")
			check(t, err)
		}
	}

	run(t, follower, "select pg_wal_replay_pause()")
	eventually(t, "replay paused", func() bool {
		p, err := FollowerPosition(ctx, follower)
		check(t, err)
		return p.ReplayPaused
	})
	for range 300 {
		run(t, app, "insert into t values (1)")
	}
	first := measure(t, tracker, leader, follower)
	time.Sleep(300 * time.Millisecond) // time itself is what is measured here
	lag := measure(t, tracker, leader, follower)
	if lag.Commits != 300 || lag.Bytes == 0 || lag.Seconds < 0.3 || lag.Seconds > 5 {
		t.Errorf("replay paused and 300 commits: %+v (before: %+v), want 300 commits, some bytes, about 0.3 s", lag, first)
	}
	run(t, follower, "select pg_wal_replay_resume()")
	eventually(t, "caught up again", caughtUp)
	if l := measure(t, tracker, leader, follower); l.Seconds != 0 {
		t.Errorf("caught up again: %v s", l.Seconds)
	}

	if _, err := FollowerPosition(ctx, leader); !errors.Is(err, ErrNotInRecovery) {
		t.Errorf("a leader asked as a follower: %v", err)
	}
	if _, err := LeaderPosition(ctx, follower); !errors.Is(err, ErrInRecovery) {
		t.Errorf("a follower asked as a leader: %v", err)
	}
	facts, err := ReadFacts(ctx, leader)
	check(t, err)
	if facts.Tables != 1 || facts.Connections != 1 || facts.InRecovery || facts.DataBytes < 1<<20 || facts.Transactions == 0 || facts.LSN == 0 {
		t.Errorf("facts of the leader: %+v", facts)
	}
	onFollower, err := ReadFacts(ctx, follower)
	check(t, err)
	if onFollower.Tables != 1 || onFollower.Connections != 0 || !onFollower.InRecovery || onFollower.Version != facts.Version {
		t.Errorf("facts of the follower: %+v", onFollower)
	}
}
