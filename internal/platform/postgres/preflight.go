package postgres

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/platform"
)

// Target is what a switch would move a database to.
type Target struct {
	Plan platform.Plan
	// Slot is the follower's replication slot on the leader; unused without a follower.
	Slot string
	// FreeBytes and TotalBytes are of the disk that the target's data lives on.
	FreeBytes, TotalBytes int64
	// WALBytesPerSecond is how fast the leader writes; 0 when it is not known.
	WALBytesPerSecond float64
}

// longTransaction is how long a transaction may be open before preflight names it.
const longTransaction = 5 * time.Second

// Preflight looks at everything a switch would meet and changes nothing. leader
// and follower are connected to the app's database as superuser; follower is a
// nil interface when the switch makes its own. The checks come in the order in
// which a page shows them. An error means that the leader does not answer; a
// follower that does not answer is a check that stops.
func Preflight(ctx context.Context, leader, follower Querier, target Target) ([]platform.Check, error) {
	var checks []platform.Check
	if follower != nil {
		found, err := followerChecks(ctx, leader, follower, target)
		if err != nil {
			return nil, err
		}
		checks = append(checks, found...)
	}
	for _, check := range []func(context.Context, Querier) (platform.Check, error){
		checkLongTransactions, checkPrepared, checkUnlogged, checkLogicalSlots, checkSubscriptions, checkSessionState,
	} {
		c, err := check(ctx, leader)
		if err != nil {
			return nil, err
		}
		checks = append(checks, c)
	}
	facts, err := ReadFacts(ctx, leader)
	if err != nil {
		return nil, err
	}
	return append(checks, checkConnections(facts, target), checkDisk(facts, target, follower == nil), checkWALRate(target)), nil
}

func followerChecks(ctx context.Context, leader, follower Querier, target Target) ([]platform.Check, error) {
	lead, err := LeaderPosition(ctx, leader)
	if err != nil {
		return nil, err
	}
	position, err := FollowerPosition(ctx, follower)
	if err != nil {
		return []platform.Check{stop("lag", "Follower's lag", "The follower does not answer as a follower, so nothing can be said about it. Look at its page, or make a new follower.")}, nil
	}
	checks := []platform.Check{checkLag(lead, position), checkReplay(position)}
	for _, check := range []func(context.Context, Querier, Querier, Target) (platform.Check, error){
		checkFollowerQueries, checkStream, checkSettings, checkExtensions,
	} {
		c, err := check(ctx, leader, follower, target)
		if err != nil {
			return nil, err
		}
		checks = append(checks, c)
	}
	return checks, nil
}

func checkLag(leader, follower Position) platform.Check {
	commits, bytes := Behind(leader, follower)
	figures := fmt.Sprintf("%s and %s of WAL behind", count(commits, "commit"), platform.Bytes(bytes))
	if commits > platform.CaughtUpCommits {
		return know("lag", "Follower's lag", "The follower is %s. The switch waits until it is at most %d commits behind.", figures, platform.CaughtUpCommits)
	}
	return ok("lag", "Follower's lag", "The follower is %s.", figures)
}

func checkReplay(p Position) platform.Check {
	const name, title = "replay", "Replay on the follower"
	switch {
	case p.ReplayPaused:
		return stop(name, title, "Replay is paused on the follower, so it would never arrive at the end. Run select pg_wal_replay_resume() on it as superuser, or make a new follower; after a raised setting on the leader it needs a restart first.")
	case !p.Streaming:
		return stop(name, title, "The follower receives nothing from its leader now. Wait until it streams again; if it does not within a minute, make a new follower.")
	}
	return ok(name, title, "The follower streams on timeline %d and replays.", p.ReceivedTLI)
}

func checkConnections(f Facts, t Target) platform.Check {
	const name, title = "connections", "Connections"
	if f.Connections > t.Plan.Connections {
		return stop(name, title, "%s in use, and %s takes %d. Close %d of them, or choose a larger plan.",
			count(int64(f.Connections), "connection"), t.Plan.Name, t.Plan.Connections, f.Connections-t.Plan.Connections)
	}
	if f.Connections*10 >= t.Plan.Connections*9 {
		return know(name, title, "%d of the %d connections of %s are in use. An app that reconnects before its old connections are gone may be refused for a moment.", f.Connections, t.Plan.Connections, t.Plan.Name)
	}
	return ok(name, title, "%d of the %d connections of %s are in use.", f.Connections, t.Plan.Connections, t.Plan.Name)
}

// diskReserve is what must stay free on a disk before an operation starts.
const diskReserve = 1 << 30

func checkDisk(f Facts, t Target, newFollower bool) platform.Check {
	const name, title = "disk", "Disk"
	if f.DataBytes > t.Plan.StorageBytes {
		return stop(name, title, "The data is %s and %s holds %s. Choose a larger plan.", platform.Bytes(f.DataBytes), t.Plan.Name, platform.Bytes(t.Plan.StorageBytes))
	}
	need := max(diskReserve, t.TotalBytes/20)
	if newFollower {
		need += f.DataBytes
	}
	if t.FreeBytes < need {
		return stop(name, title, "%s are free on the target's disk and %s are needed. Free %s, or choose another zone.", platform.Bytes(t.FreeBytes), platform.Bytes(need), platform.Bytes(need-t.FreeBytes))
	}
	return ok(name, title, "The data is %s; %s holds %s and its disk has %s free.", platform.Bytes(f.DataBytes), t.Plan.Name, platform.Bytes(t.Plan.StorageBytes), platform.Bytes(t.FreeBytes))
}

func checkWALRate(t Target) platform.Check {
	const name, title = "wal_rate", "WAL rate"
	if t.WALBytesPerSecond <= 0 {
		return ok(name, title, "The leader writes next to nothing now.")
	}
	rate := platform.Bytes(int64(t.WALBytesPerSecond))
	if t.WALBytesPerSecond > 32<<20 {
		return know(name, title, "The leader writes %s of WAL a second. A quieter hour makes the switch shorter.", rate)
	}
	return ok(name, title, "The leader writes %s of WAL a second.", rate)
}

func ok(name, title, format string, args ...any) platform.Check {
	return platform.Check{Name: name, Title: title, State: platform.CheckOK, Detail: fmt.Sprintf(format, args...)}
}

func know(name, title, format string, args ...any) platform.Check {
	return platform.Check{Name: name, Title: title, State: platform.CheckKnow, Detail: fmt.Sprintf(format, args...)}
}

func stop(name, title, format string, args ...any) platform.Check {
	return platform.Check{Name: name, Title: title, State: platform.CheckStop, Detail: fmt.Sprintf(format, args...)}
}

// count is "1 commit", "0 commits", "12 commits".
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
