package jobs_test

import (
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// The kill loop: whatever step a runner dies before or after, the changeover
// goes on by itself and ends the same.
func TestChangeoverGoesOnWhereverItIsKilled(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	for _, points := range rounds(pointsOf(platform.FollowerChangeover), seed) {
		follower := h.follower(leader, "standard-0")
		leader = h.changeoverWith(jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID}, points)
	}
}

// The same where the changeover makes its follower itself.
func TestChangeoverToANewFollowerGoesOnWhereverItIsKilled(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	points := pointsOf(platform.FollowerChangeover)
	list := rounds(points, seed)
	if !everything() {
		list = [][]point{third(points, seed)}
	}
	for _, points := range list {
		h.makeForkReady(leader)
		leader = h.changeoverWith(jobs.Changeover{LeaderID: leader.ID, Plan: "standard-2"}, points)
	}
}

// changeoverWith runs a changeover that is killed at the points, with an app
// that writes all the time, checks everything, destroys the old leader and
// returns the new one.
func (h *house) changeoverWith(c jobs.Changeover, points []point) platform.Database {
	h.t.Helper()
	begin := time.Now()
	c.ConfirmedJobs = true
	old := h.database(c.LeaderID)
	k := newKiller(points)
	b := h.openBook()
	h.setHook(k.hook)
	op, err := h.jobs.StartChangeover(h.t.Context(), actor, c)
	if err != nil {
		h.t.Fatal(err)
	}
	b.watchBoth(old, h.awaitServer(*op.TargetID))
	op = h.ended(op, nil, platform.OperationCompleted)
	h.setHook(nil)
	report := b.close("after the changeover")
	k.check(h.t)
	leader := h.tookOver(op)
	h.destroyed(old)
	h.inOrder("after the old leader was destroyed")
	h.t.Logf("killed %v: longest pause %s, longest refusal %s, all in %s", points, k.longest.Round(time.Millisecond),
		report.LongestRefusal.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
	return leader
}

// awaitServer waits until a database has a server, and so a URL.
func (h *house) awaitServer(id int64) platform.Database {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if d := h.database(id); d.ServerID != nil {
			return d
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("database %d has no server after 30 s", id)
		}
	}
}

// tookOver checks the end state of a completed changeover and returns the new leader.
func (h *house) tookOver(op platform.Operation) platform.Database {
	h.t.Helper()
	h.inOrder("after the changeover")
	old, leader := h.database(op.DatabaseID), h.database(*op.TargetID)
	switch {
	case old.State != platform.DatabaseFenced, old.ReplacedByID == nil, *old.ReplacedByID != leader.ID, !h.serverOf(old).Fenced:
		h.t.Fatalf("the old leader is not fenced and replaced: %+v", old)
	case leader.State != platform.DatabaseAvailable, leader.IsFollower(), h.serverOf(leader).Fenced:
		h.t.Fatalf("the new leader is not one: %+v", leader)
	}
	primary, _, err := db.PrimaryAttachment(h.t.Context(), h.pool, h.app.ID)
	if err != nil || primary.DatabaseID != leader.ID {
		h.t.Fatalf("DATABASE_URL names %s (%v)", primary.DatabaseName, err)
	}
	facts, err := db.ChangeoverOf(h.t.Context(), h.pool, op.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	if facts.OldEndLSN == nil || facts.ForkLSN == nil || *facts.OldEndLSN != *facts.ForkLSN || facts.OutageMS == nil {
		h.t.Fatalf("nothing proves that nothing is missing: %+v", facts)
	}
	var releases int
	err = h.pool.QueryRow(h.t.Context(), `select count(*) from releases where operation_id = $1 and description like 'Promote%'`, op.ID).Scan(&releases)
	if err != nil || releases != 1 {
		h.t.Fatalf("%d releases for one promotion (%v)", releases, err)
	}
	return leader
}
