package jobs_test

import (
	"context"
	"testing"

	"changeover/bench/ledger"
	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Every procedure without a loop of its own, one after the other in a database's life,
// each killed at a third of its points (all of them, one a run, with everything).
func TestEveryOtherProcedureGoesOnWhereverItIsKilled(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t)
	h.scale()
	lives, pick := 1, func(_ int, points []point) []point { return third(points, seed) }
	elsewhere := func(kind platform.OperationKind) bool { // it has a loop of its own
		switch kind {
		case platform.FollowerChangeover, platform.Upgrade, platform.SwitchBack, platform.DestroyOldServer, platform.RecreateFollower, platform.UpgradeEssential, platform.DropOldDatabase:
			return true
		}
		return false
	}
	if everything() {
		for kind, steps := range jobs.Procedures() {
			if !elsewhere(kind) {
				lives = max(lives, 2*len(steps))
			}
		}
		pick = func(life int, points []point) []point { return points[life%len(points):][:1] }
	}
	var before *platform.Database
	lived := map[platform.OperationKind]bool{}
	for life := range lives {
		now := h.life(func(kind platform.OperationKind) []point {
			lived[kind] = true
			return pick(life, pointsOf(kind))
		})
		if before != nil {
			h.destroyed(*before)
		}
		before = &now
	}
	for kind := range jobs.Procedures() {
		if !lived[kind] && !elsewhere(kind) {
			t.Errorf("%s was never killed", kind)
		}
	}
}

// life runs through one database's life and returns the one that is DATABASE_URL at its end.
func (h *house) life(points func(platform.OperationKind) []point) platform.Database {
	h.t.Helper()
	ctx := h.t.Context()
	op := h.killed(points(platform.CreateDatabase), func() (platform.Operation, error) {
		return h.jobs.StartCreateDatabase(ctx, actor, h.app.ID, "standard-0", h.engine.Installations()[0].Major)
	})
	leader := h.database(op.DatabaseID)
	url := h.urlOf(leader.ID)
	if err := ledger.Setup(ctx, url); err != nil {
		h.t.Fatal(err)
	}
	w := ledger.Start(context.WithoutCancel(ctx), ledger.Fixed(url), 2, ledger.Options{})
	mustCommit(h, w)

	op = h.killed(points(platform.CreateFollower), func() (platform.Operation, error) {
		return h.jobs.StartCreateFollower(ctx, actor, leader.ID, h.app.ID, "standard-0", "")
	})
	fork := h.database(op.DatabaseID)
	h.killed(points(platform.Unfollow), func() (platform.Operation, error) {
		return h.jobs.StartUnfollow(ctx, actor, fork.ID, h.app.Name)
	})
	if fork = h.database(fork.ID); fork.IsFollower() || fork.ForkedFromID == nil || *fork.ForkedFromID != leader.ID {
		h.t.Fatalf("not a fork: %+v", fork)
	}
	h.killed(points(platform.Promote), func() (platform.Operation, error) {
		return h.jobs.StartPromote(ctx, actor, fork.ID, h.app.ID)
	})
	if primary, _, err := db.PrimaryAttachment(ctx, h.pool, h.app.ID); err != nil || primary.DatabaseID != fork.ID {
		h.t.Fatalf("DATABASE_URL names %s (%v)", primary.DatabaseName, err)
	}
	mustCommit(h, w) // it went on all the time
	h.killed(points(platform.FenceDatabase), func() (platform.Operation, error) {
		return h.jobs.StartFence(ctx, actor, leader.ID, h.app.Name)
	})
	if err := h.write(leader); err == nil || h.database(leader.ID).State != platform.DatabaseFenced {
		h.t.Fatal("a fenced database takes writes")
	}
	h.killed(points(platform.UnfenceDatabase), func() (platform.Operation, error) {
		return h.jobs.StartUnfence(ctx, actor, leader.ID, h.app.Name)
	})
	mustCommit(h, w)
	report := w.Stop()
	audit, err := w.Verify(ctx, url)
	if err != nil || !audit.Sound() || report.Failed > 0 {
		h.t.Fatalf("%v %+v %q", err, audit, report.Errors)
	}
	h.killed(points(platform.DestroyDatabase), func() (platform.Operation, error) {
		return h.jobs.StartDestroy(ctx, actor, leader.ID, h.app.Name)
	})

	op = h.killed(points(platform.CreateEssential), func() (platform.Operation, error) {
		return h.jobs.StartCreateDatabase(ctx, actor, h.app.ID, "essential-0", h.engine.Installations()[0].Major)
	})
	essential := h.database(op.DatabaseID)
	if err := h.write(essential); err != nil {
		h.t.Fatalf("a new Essential database: %v", err)
	}
	h.killed(points(platform.DestroyDatabase), func() (platform.Operation, error) {
		return h.jobs.StartDestroy(ctx, actor, essential.ID, h.app.Name)
	})

	next := h.follower(fork, "standard-0")
	op, err = h.jobs.StartChangeover(ctx, actor, jobs.Changeover{LeaderID: fork.ID, FollowerID: &next.ID, ConfirmedJobs: true})
	h.ended(op, err, platform.OperationCompleted)
	h.killed(points(platform.SeparateDatabase), func() (platform.Operation, error) {
		return h.jobs.StartSeparate(ctx, actor, fork.ID, h.app.Name)
	})
	if err := h.write(fork); err != nil {
		h.t.Fatalf("a separated fork takes no writes: %v", err)
	}
	h.destroyed(fork)
	return h.database(next.ID)
}

// killed runs an operation that dies at the points, and checks that the house is in order.
func (h *house) killed(points []point, start func() (platform.Operation, error)) platform.Operation {
	h.t.Helper()
	k := newKiller(points)
	h.setHook(k.hook)
	op, err := start()
	op = h.ended(op, err, platform.OperationCompleted)
	h.setHook(nil)
	k.check(h.t)
	h.inOrder("after " + string(op.Kind))
	h.t.Logf("%s killed %v: longest pause %s", op.Kind, points, k.longest)
	return op
}

func mustCommit(h *house, w *ledger.Writers) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), resumesWithin)
	defer cancel()
	if err := w.WaitForCommits(ctx, 3); err != nil {
		h.t.Fatal(err)
	}
}

// write makes one write through the database's own URL.
func (h *house) write(d platform.Database) error {
	h.t.Helper()
	conn, err := pgx.Connect(h.t.Context(), h.urlOf(d.ID))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(h.t.Context()) }()
	_, err = conn.Exec(h.t.Context(), `begin read write; select pg_current_xact_id(); commit`)
	return err
}

// query is one value from the database, asked as the admin.
func query[T any](h *house, d platform.Database, sql string, args ...any) (value T) {
	h.t.Helper()
	conn, err := pgx.ConnectConfig(h.t.Context(), h.admin(h.serverOf(d), d.DatabaseName))
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = conn.Close(h.t.Context()) }()
	if err := conn.QueryRow(h.t.Context(), sql, args...).Scan(&value); err != nil {
		h.t.Fatalf("%s: %v", sql, err)
	}
	return value
}
