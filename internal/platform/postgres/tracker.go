package postgres

import (
	"sort"
	"time"

	"changeover/internal/platform"
)

// Tracker works out how far the followers of one leader are behind, by the
// formulas of safety 7, from samples that somebody else takes. Every time comes
// from the caller. It is not safe for concurrent use.
type Tracker struct {
	stale     time.Duration
	keep      int
	leader    sample
	passed    []passing // when the leader's WAL end reached what, oldest first
	followers map[int64]*tracked
}

type sample struct {
	at  time.Time
	pos Position
	ok  bool
}

// passing says that at At the leader's end of WAL was seen at LSN for the first time.
type passing struct {
	at  time.Time
	lsn platform.LSN
}

type tracked struct {
	sample
	since   time.Time    // first time that Lag was asked for this follower
	before  time.Time    // when the leader passed what lies before its first sample
	last    platform.Lag // last known lag
	hasLast bool
}

// NewTracker makes a tracker that takes samples older than stale for no answer.
func NewTracker(stale time.Duration) *Tracker {
	return &Tracker{stale: stale, keep: 50_000, followers: map[int64]*tracked{}}
}

// Leader notes a sample of the leader.
func (t *Tracker) Leader(at time.Time, p Position) {
	t.leader = sample{at: at, pos: p, ok: true}
	if n := len(t.passed); n > 0 {
		switch newest := t.passed[n-1].lsn; {
		case p.LSN == newest:
			return // nothing written since: it is the first time that counts
		case p.LSN < newest:
			// The leader's WAL ended earlier than before: another history (it was
			// re-made or crashed before the flush). The old times mean nothing.
			t.passed = t.passed[:0]
		}
	}
	t.passed = append(t.passed, passing{at: at, lsn: p.LSN})
	if len(t.passed) > t.keep {
		t.thin()
	}
}

// LeaderGone notes that the leader did not answer.
func (t *Tracker) LeaderGone() { t.leader.ok = false }

// Follower notes a sample of the follower with this id.
func (t *Tracker) Follower(id int64, at time.Time, p Position) {
	t.follower(id).sample = sample{at: at, pos: p, ok: true}
	t.forget()
}

// FollowerGone notes that the follower did not answer.
func (t *Tracker) FollowerGone(id int64) { t.follower(id).ok = false }

// Forget drops a follower that is none any more.
func (t *Tracker) Forget(id int64) { delete(t.followers, id) }

// Seed tells what was known of a follower before this tracker began, such as
// before a restart of the program: until the follower passes the first sample
// of the leader, its lag in seconds is counted from when the last reading says
// that the leader was where the follower was. It may then be too long, never
// too short.
func (t *Tracker) Seed(id int64, last platform.Lag) {
	f := t.follower(id)
	f.last, f.hasLast = last, true
	f.before = last.At.Add(-time.Duration(last.Seconds * float64(time.Second)))
}

// Lag is how far the follower is behind as of its last sample. It is not known
// while one of the two does not answer; then it holds the last known figures
// and Since says since when.
func (t *Tracker) Lag(id int64, now time.Time) platform.Lag {
	f := t.follower(id)
	if f.since.IsZero() {
		f.since = now
	}
	if !t.fresh(t.leader, now) || !t.fresh(f.sample, now) {
		lag := f.last
		lag.At, lag.Known, lag.Since = now, false, f.since
		if f.hasLast {
			lag.Since = f.last.At
		}
		return lag
	}
	lag := platform.Lag{At: f.at, Known: true}
	lag.Commits, lag.Bytes = Behind(t.leader.pos, f.pos)
	lag.Seconds = t.seconds(f)
	f.last, f.hasLast = lag, true
	return lag
}

func (t *Tracker) fresh(s sample, now time.Time) bool {
	return s.ok && now.Sub(s.at) <= t.stale
}

// seconds is the time between the follower's sample and the moment at which the
// leader was first seen past what the follower had replayed.
func (t *Tracker) seconds(f *tracked) float64 {
	i := sort.Search(len(t.passed), func(i int) bool { return t.passed[i].lsn > f.pos.LSN })
	if i == len(t.passed) {
		return 0 // at or past the newest sample
	}
	at := t.passed[i].at
	if i == 0 && !f.before.IsZero() && f.before.Before(at) {
		at = f.before
	}
	return max(0, f.at.Sub(at).Seconds())
}

// forget drops what every follower has replayed; the newest sample stays.
func (t *Tracker) forget() {
	if len(t.passed) < 2 {
		return
	}
	least := t.passed[len(t.passed)-1].lsn
	for _, f := range t.followers {
		least = min(least, f.pos.LSN)
	}
	// The last sample at or below the least position stays: it tells that the
	// follower is past the beginning, so that no seed is used for it.
	i := sort.Search(len(t.passed), func(i int) bool { return t.passed[i].lsn > least })
	if i > 1 {
		t.passed = append(t.passed[:0], t.passed[i-1:]...)
	}
}

// thin halves the older half: a follower that is half a day behind does not
// need its lag to the second.
func (t *Tracker) thin() {
	half := len(t.passed) / 2
	kept := t.passed[:0]
	for i, p := range t.passed {
		if i >= half || i%2 == 0 {
			kept = append(kept, p)
		}
	}
	t.passed = kept
}

func (t *Tracker) follower(id int64) *tracked {
	f := t.followers[id]
	if f == nil {
		f = &tracked{}
		t.followers[id] = f
	}
	return f
}
