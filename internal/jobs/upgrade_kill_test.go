package jobs_test

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/jobs"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
)

// The kill loop over an upgrade and a switch back of a leader with three
// followers, of which one is frozen in the switch and one is on another app:
// whatever step a runner dies before or after, the operation goes on by itself,
// nothing is lost, and every follower follows.
func TestUpgradeGoesOnWhereverItIsKilled(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	followers := h.threeFollowers(leader)
	upgrades, backs := [][]point{third(pointsOf(platform.Upgrade), seed)}, [][]point{third(pointsOf(platform.SwitchBack), seed)}
	if everything() {
		upgrades, backs = rounds(pointsOf(platform.Upgrade), seed), rounds(pointsOf(platform.SwitchBack), seed)
	}
	for i := range max(len(upgrades), len(backs)) {
		plan := "standard-0"
		if h.database(leader.ID).Plan == plan {
			plan = "standard-2"
		}
		before := h.database(leader.ID).Plan
		h.movedWith(upgrades[i%len(upgrades)], followers, plan, func() (platform.Operation, error) {
			return h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: leader.ID, Plan: plan, When: jobs.UpgradeAtOnce})
		})
		h.movedWith(backs[i%len(backs)], followers, before, func() (platform.Operation, error) {
			return h.jobs.StartSwitchBack(t.Context(), actor, leader.ID)
		})
		points := pointsOf(platform.DestroyOldServer)
		h.killed(some(points, len(points)/2, seed+i), func() (platform.Operation, error) {
			return h.jobs.StartDestroyOldServer(t.Context(), actor, leader.ID)
		})
		h.killed(third(pointsOf(platform.RecreateFollower), seed+i), func() (platform.Operation, error) {
			return h.jobs.StartRecreateFollower(t.Context(), actor, followers[0].ID, "")
		})
		h.followsNow(followers[0])
	}
}

// threeFollowers are two on the app and one on another.
func (h *house) threeFollowers(leader platform.Database) (followers []platform.Database) {
	h.t.Helper()
	other := dbtest.App(h.t, h.pool, "ramen")
	var all sync.WaitGroup
	list := make([]platform.Database, 3)
	for i, appID := range []int64{h.app.ID, h.app.ID, other.ID} {
		op, err := h.jobs.StartCreateFollower(h.t.Context(), actor, leader.ID, appID, "standard-0", "")
		all.Go(func() { list[i] = h.database(h.ended(op, err, platform.OperationCompleted).DatabaseID) })
	}
	all.Wait()
	return list
}

// freezing stops every process of a database when the fence begins, and lets
// them go on when the followers are re-pointed or given back.
func (h *house) freezing(d platform.Database, hook func(when, what, step string) error) func(when, what, step string) error {
	var mu sync.Mutex
	var frozen []int
	signal := func(s syscall.Signal) {
		for _, pid := range frozen {
			_ = syscall.Kill(pid, s) // one that ended meanwhile is fine
		}
	}
	h.t.Cleanup(func() { signal(syscall.SIGCONT) })
	return func(when, what, step string) error {
		mu.Lock()
		switch {
		case when == "before" && step == "fence_writes" && frozen == nil:
			frozen = h.pids([]platform.Database{d})
			signal(syscall.SIGSTOP)
		case when == "before" && (step == "repoint_followers" || what == "undo" && step == "check_again"):
			signal(syscall.SIGCONT)
		}
		mu.Unlock()
		return hook(when, what, step)
	}
}

// movedWith runs an upgrade or a switch back that is killed at the points, with
// an app that writes all the time, and checks everything.
func (h *house) movedWith(points []point, followers []platform.Database, plan string, start func() (platform.Operation, error)) platform.Operation {
	h.t.Helper()
	begin := time.Now()
	k := newKiller(points)
	b := h.openBook()
	hook := k.hook
	if len(followers) > 0 {
		hook = h.freezing(followers[0], k.hook)
	}
	h.setHook(hook)
	op, err := start()
	if err != nil {
		h.t.Fatal(err)
	}
	b.watchServers(op)
	op = h.ended(op, nil, platform.OperationCompleted)
	h.setHook(nil)
	report := b.close("after the switch")
	k.check(h.t)
	h.upgraded(op, plan)
	h.inOrder("after the switch")
	for _, f := range followers {
		h.followsNow(f)
	}
	moves, err := db.FollowerMoves(h.t.Context(), h.pool, op.ID)
	if err != nil || len(moves) != len(followers) {
		h.t.Fatalf("%d followers were moved (%v)", len(moves), err)
	}
	for _, move := range moves {
		if move.State != db.FollowerFollowing || move.RecreationID != nil {
			h.t.Errorf("follower %d is %s: %s", move.DatabaseID, move.State, move.Detail)
		}
	}
	var releases string
	err = h.pool.QueryRow(h.t.Context(), `select string_agg(a.name || ' ' || n, ', ' order by a.name) from
		(select app_id, count(*) as n from releases where operation_id = $1 group by 1) r join apps a on a.id = r.app_id`, op.ID).Scan(&releases)
	if err != nil || releases != "sushi 1" {
		h.t.Errorf("releases: %s (%v)", releases, err)
	}
	h.t.Logf("%s killed %v: longest pause %s, longest refusal %s, all in %s", op.Kind, points, k.longest.Round(time.Millisecond),
		report.LongestRefusal.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
	return op
}

// Cancelled at whatever step before the switch, an upgrade of a leader with three
// followers leaves nothing behind, also while one of them is frozen.
func TestUpgradeIsCancelledAtEveryStepBeforeThePointOfNoReturn(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	h.makeForkReady(leader)
	followers := h.threeFollowers(leader)
	b := h.openBook()
	url := h.urlOf(leader.ID)
	all := before(platform.Upgrade)
	for _, p := range append(some(all[:len(all)-1], 3, seed), all[len(all)-1]) {
		op := h.cancelled(p, func() (platform.Operation, error) {
			return h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: leader.ID, Plan: "standard-2", When: jobs.UpgradeAtOnce})
		}, func(hook workflow.Hook) workflow.Hook { return h.freezing(followers[0], hook) })
		b.mustWrite("after a cancel " + p.String())
		m, err := db.MaintenanceOf(t.Context(), h.pool, op.ID)
		if err != nil || m.State != platform.MaintenanceCancelled {
			t.Errorf("%s: the maintenance is %s (%v)", p, m.State, err)
		}
		if d := h.database(leader.ID); d.Plan != "standard-0" || h.urlOf(d.ID) != url {
			t.Errorf("%s: it has changed: %+v", p, d)
		}
		var notice string
		err = h.pool.QueryRow(t.Context(), `select body from notices where operation_id = $1 and kind = 'maintenance_cancelled'`, op.ID).Scan(&notice)
		if err != nil || !strings.Contains(notice, "The replacement is destroyed") {
			t.Errorf("%s: the notice says %q (%v)", p, notice, err)
		}
	}
	b.close("at the end")
	for _, follower := range followers {
		h.followsNow(follower)
	}
}
