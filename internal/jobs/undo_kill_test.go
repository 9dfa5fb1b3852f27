package jobs_test

import (
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// A changeover whose follower never gets there is put back, wherever its undo is
// killed: the old leader takes writes again, with every row, unlogged ones too,
// and a retry completes.
func TestChangeoverIsPutBackWhereverItsUndoIsKilled(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t, withDeadline(time.Second))
	h.scale()
	points := undoPoints("fence_writes", "prepare_switch", "scale_down", "turn_on_maintenance", "reserve_server")
	list := [][]point{some(points, len(points)/2, seed)}
	if everything() {
		list = rounds(points, seed)
	}
	list = append(list, nil)
	leader := h.leader("standard-0")
	for i, points := range list {
		c := jobs.Changeover{LeaderID: leader.ID, ConfirmedJobs: true, Plan: "standard-0"}
		if (i+seed)%2 == 0 { // every other one makes its follower itself, and keeps it
			follower := h.follower(leader, "standard-0")
			c.FollowerID = &follower.ID
		}
		h.makeForkReady(leader)
		var refused time.Duration
		leader, refused = h.putBackThenRetried(c, points)
		// It costs the app the deadline and a restart of the old leader, however
		// long that takes here.
		if len(points) == 0 && (refused < h.deadline/2 || refused > h.deadline+resumesWithin) {
			t.Errorf("writes were refused for %s with a deadline of %s", refused, h.deadline)
		}
	}
}

// putBackThenRetried runs a changeover whose candidate's replay is paused, so
// that it is put back, killed at the points; then once more without either.
func (h *house) putBackThenRetried(c jobs.Changeover, points []point) (leader platform.Database, refused time.Duration) {
	h.t.Helper()
	old := h.database(c.LeaderID)
	h.exec(old, `create unlogged table if not exists cart (n int)`)
	h.exec(old, `insert into cart values (1), (2), (3)`)
	k := newKiller(points)
	b := h.openBook()
	started := make(chan platform.Database, 1)
	h.setHook(func(when, what, step string) error {
		if (point{when, what, step}) == (point{"before", "do", "fence_writes"}) {
			candidate := <-started
			started <- candidate
			h.exec(candidate, `select pg_wal_replay_pause()`)
		}
		return k.hook(when, what, step)
	})
	op, err := h.jobs.StartChangeover(h.t.Context(), actor, c)
	if err != nil {
		h.t.Fatal(err)
	}
	candidate := h.awaitServer(*op.TargetID)
	b.watchBoth(old, candidate)
	started <- candidate
	op = h.ended(op, nil, platform.OperationUndone)
	h.setHook(nil)
	k.check(h.t)
	b.mustWrite("after it was put back")
	h.exec(candidate, `select pg_wal_replay_resume()`)
	h.inOrder("after it was put back")
	if !strings.Contains(op.Reason, "deadline of 1s") {
		h.t.Errorf("the reason is %q", op.Reason)
	}
	if rows := query[int](h, old, `select count(*) from cart`); rows != 3 {
		h.t.Errorf("%d of 3 unlogged rows are left", rows)
	}
	if d := h.database(candidate.ID); !d.IsFollower() || d.State != platform.DatabaseAvailable {
		h.t.Errorf("the follower is no follower any more: %+v", d)
	}
	var notice string
	err = h.pool.QueryRow(h.t.Context(), `select body from notices where operation_id = $1`, op.ID).Scan(&notice)
	if err != nil || !strings.Contains(notice, op.Reason) {
		h.t.Errorf("the notice does not say why: %q (%v)", notice, err)
	}
	refused = b.writers.Between(time.Now().Add(-time.Minute), time.Now()).LongestRefusal
	facts, err := db.ChangeoverOf(h.t.Context(), h.pool, op.ID)
	if err != nil || len(points) == 0 && (facts.OutageMS == nil || *facts.OutageMS < 500) {
		h.t.Errorf("the page does not tell how long writes were refused: %v (%v)", facts.OutageMS, err)
	}
	if waited := h.gaveUpAfter(op); waited > h.deadline+time.Second {
		h.t.Errorf("it gave up only %s after the fence began", waited)
	}
	short := h.deadline
	h.close() // the retry has time enough, on a busy machine too
	h.deadline = 0
	h.open()
	op, err = h.jobs.Retry(h.t.Context(), op.ID)
	op = h.ended(op, err, platform.OperationCompleted)
	b.close("after the retry")
	h.close()
	h.deadline = short
	h.open()
	leader = h.tookOver(op)
	h.destroyed(old)
	h.inOrder("after the old leader was destroyed")
	h.t.Logf("killed %v: writes refused for %s, longest pause %s", points, refused.Round(time.Millisecond), k.longest.Round(time.Millisecond))
	return leader, refused
}

// gaveUpAfter is how long after the fence's beginning the outage was given up.
func (h *house) gaveUpAfter(op platform.Operation) (waited time.Duration) {
	h.t.Helper()
	steps, err := db.OperationSteps(h.t.Context(), h.pool, op.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	var from time.Time
	for _, s := range steps {
		if s.Name == "fence_writes" {
			from = *s.StartedAt
		}
		if s.State == platform.StepFailed {
			waited = s.FinishedAt.Sub(from)
		}
	}
	return waited
}

// exec runs a statement as the admin.
func (h *house) exec(d platform.Database, sql string) {
	server, err := db.ServerOf(h.t.Context(), h.pool, d.ID)
	if err != nil {
		h.t.Error(err)
		return
	}
	conn, err := pgx.ConnectConfig(h.t.Context(), h.admin(h.server(server), d.DatabaseName))
	if err != nil {
		h.t.Error(err)
		return
	}
	defer func() { _ = conn.Close(h.t.Context()) }()
	if _, err := conn.Exec(h.t.Context(), sql); err != nil {
		h.t.Errorf("%s: %v", sql, err)
	}
}
