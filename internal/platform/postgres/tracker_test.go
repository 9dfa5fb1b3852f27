package postgres

import (
	"testing"
	"time"

	"changeover/internal/platform"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func second(n float64) time.Time { return noon.Add(time.Duration(n * float64(time.Second))) }

// leaderAt and followerAt are one sample each, at a second after noon.
type leaderAt struct {
	second float64
	lsn    platform.LSN
	xmax   int64
}

func TestTrackerLag(t *testing.T) {
	writing := []leaderAt{{0, 1000, 10}, {1, 1000, 10}, {2, 2000, 20}, {3, 3000, 30}, {4, 4000, 40}}
	tests := []struct {
		name   string
		leader []leaderAt
		lsn    platform.LSN
		xmax   int64
		want   platform.Lag
	}{
		{"idle leader, follower at its end", []leaderAt{{0, 1000, 10}, {1, 1000, 10}, {4, 1000, 10}}, 1000, 10, platform.Lag{}},
		{"follower sampled after the leader went on", writing, 4500, 45, platform.Lag{}},
		{"at the newest sample", writing, 4000, 40, platform.Lag{}},
		{"between two samples", writing, 3500, 35, platform.Lag{Bytes: 500, Commits: 5, Seconds: 0}},
		{"paused since the leader was idle", writing, 1000, 10, platform.Lag{Bytes: 3000, Commits: 30, Seconds: 2}},
		{"two seconds of writing behind", writing, 2000, 20, platform.Lag{Bytes: 2000, Commits: 20, Seconds: 1}},
		{"before the first sample: at least since then", writing, 500, 5, platform.Lag{Bytes: 3500, Commits: 35, Seconds: 4}},
		{"bytes without commits", []leaderAt{{0, 1000, 10}, {2, 9000, 10}}, 1000, 10, platform.Lag{Bytes: 8000, Seconds: 2}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tracker := NewTracker(3 * time.Second)
			for _, s := range test.leader {
				tracker.Leader(second(s.second), Position{LSN: s.lsn, XMax: s.xmax})
			}
			tracker.Follower(7, second(4), Position{LSN: test.lsn, XMax: test.xmax})
			want := test.want
			want.Known, want.At = true, second(4)
			if got := tracker.Lag(7, second(4.1)); got != want {
				t.Errorf("lag = %+v, want %+v", got, want)
			}
		})
	}
}

func TestTrackerPausedReplayGrowsOnlyInSeconds(t *testing.T) {
	tracker := NewTracker(3 * time.Second)
	for s := range 100 {
		end := min(s, 10) // writes until the tenth second, then idles
		tracker.Leader(second(float64(s)), Position{LSN: platform.LSN(1000 + 100*end), XMax: int64(10 + end)})
		tracker.Follower(1, second(float64(s)), Position{LSN: 1000, XMax: 10, ReplayPaused: true})
	}
	got := tracker.Lag(1, second(99))
	want := platform.Lag{At: second(99), Known: true, Commits: 10, Bytes: 1000, Seconds: 98}
	if got != want {
		t.Errorf("lag = %+v, want %+v", got, want)
	}
}

func TestTrackerUnknownIsNeverZero(t *testing.T) {
	tests := []struct {
		name string
		gone func(*Tracker)
		now  float64
	}{
		{"leader does not answer", func(t *Tracker) { t.LeaderGone() }, 5},
		{"follower does not answer", func(t *Tracker) { t.FollowerGone(1) }, 5},
		{"both samples are old", func(*Tracker) {}, 60},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tracker := NewTracker(3 * time.Second)
			tracker.Leader(second(0), Position{LSN: 1000, XMax: 10})
			tracker.Leader(second(4), Position{LSN: 3000, XMax: 30})
			tracker.Follower(1, second(4), Position{LSN: 1000, XMax: 10})
			tracker.Lag(1, second(4))
			test.gone(tracker)
			got := tracker.Lag(1, second(test.now))
			want := platform.Lag{At: second(test.now), Known: false, Since: second(4), Commits: 20, Bytes: 2000, Seconds: 0}
			if got != want {
				t.Errorf("lag = %+v, want %+v", got, want)
			}
		})
	}
	t.Run("never known: since it was first asked", func(t *testing.T) {
		tracker := NewTracker(3 * time.Second)
		tracker.Lag(1, second(1))
		if got := tracker.Lag(1, second(9)); got.Known || !got.Since.Equal(second(1)) {
			t.Errorf("lag = %+v, want unknown since second 1", got)
		}
	})
}

func TestTrackerSeedAfterRestart(t *testing.T) {
	tracker := NewTracker(3 * time.Second)
	tracker.Seed(1, platform.Lag{At: second(-10), Known: true, Seconds: 600})
	tracker.Leader(second(0), Position{LSN: 9000, XMax: 90})
	tracker.Follower(1, second(0), Position{LSN: 1000, XMax: 10})
	if got := tracker.Lag(1, second(0)).Seconds; got != 610 {
		t.Errorf("paused over a restart: %v s behind, want 610", got)
	}
	tracker.Leader(second(5), Position{LSN: 9500, XMax: 95})
	tracker.Follower(1, second(6), Position{LSN: 9100, XMax: 91})
	if got := tracker.Lag(1, second(6)).Seconds; got != 1 {
		t.Errorf("past the first sample: %v s behind, want 1", got)
	}
}

func TestTrackerAnotherHistory(t *testing.T) {
	tracker := NewTracker(3 * time.Second)
	tracker.Leader(second(0), Position{LSN: 9000, XMax: 90})
	tracker.Leader(second(1), Position{LSN: 5000, XMax: 50})
	tracker.Follower(1, second(1), Position{LSN: 5000, XMax: 50})
	if got := tracker.Lag(1, second(1)); got.Seconds != 0 || got.Bytes != 0 || got.Commits != 0 {
		t.Errorf("lag = %+v, want none", got)
	}
}

func TestTrackerMemoryIsBounded(t *testing.T) {
	tracker := NewTracker(3 * time.Second)
	tracker.keep = 1000
	tracker.Follower(1, second(0), Position{LSN: 1, XMax: 1})
	for s := range 20_000 {
		tracker.Leader(second(float64(s)), Position{LSN: platform.LSN(100 + s), XMax: 1})
	}
	tracker.Follower(1, second(19_999), Position{LSN: 1, XMax: 1})
	if n := len(tracker.passed); n > 1000 {
		t.Errorf("%d samples kept, want at most 1000", n)
	}
	if got := tracker.Lag(1, second(19_999)).Seconds; got != 19_999 {
		t.Errorf("%v s behind, want 19999", got)
	}
	tracker.Follower(1, second(20_000), Position{LSN: 20_099, XMax: 1})
	if n := len(tracker.passed); n != 1 {
		t.Errorf("%d samples kept when all is replayed, want 1", n)
	}
}

func TestBehindCountsNothingThatWasReplayed(t *testing.T) {
	// The follower's snapshot is older than its replay position: it has all.
	if commits, bytes := Behind(Position{LSN: 1000, XMax: 900}, Position{LSN: 1000, XMax: 371}); commits != 0 || bytes != 0 {
		t.Errorf("%d commits, %d bytes behind", commits, bytes)
	}
	if commits, bytes := Behind(Position{LSN: 5000, XMax: 900}, Position{LSN: 1000, XMax: 600}); commits != 300 || bytes != 4000 {
		t.Errorf("%d commits, %d bytes behind", commits, bytes)
	}
}
