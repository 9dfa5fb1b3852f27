package jobs_test

import (
	"errors"
	"testing"

	"changeover/internal/jobs"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
)

// cancelAt asks to cancel at a point, once the operation's id is known.
func (h *house) cancelAt(p point) (hook func(when, what, step string) error, id chan<- int64, answer <-chan error) {
	ids, answers := make(chan int64, 1), make(chan error, 1)
	asked := false
	return func(when, what, step string) error {
		if !asked && (point{when, what, step}) == p {
			asked = true
			answers <- h.jobs.Cancel(h.t.Context(), actor, <-ids)
		}
		return nil
	}, ids, answers
}

// cancelled runs an operation that is cancelled at the point. around, where there
// is any, does more at the points.
func (h *house) cancelled(p point, start func() (platform.Operation, error), around ...func(workflow.Hook) workflow.Hook) platform.Operation {
	h.t.Helper()
	cancel, id, answer := h.cancelAt(p)
	hook := workflow.Hook(cancel)
	for _, wrap := range around {
		hook = wrap(hook)
	}
	h.setHook(hook)
	op, err := start()
	if err != nil {
		h.t.Fatal(err)
	}
	id <- op.ID
	op = h.ended(op, nil, platform.OperationUndone)
	h.setHook(nil)
	if err := <-answer; err != nil || op.Reason != "Cancelled by "+actor+"." {
		h.t.Fatalf("%s: %v, reason %q", p, err, op.Reason)
	}
	h.inOrder("after a cancel " + p.String())
	return op
}

// before are the points at which a cancel must be kept: before each step up to
// the point of no return (without one, up to the last step, after which there is
// nothing left to cancel), and after the last of these.
func before(kind platform.OperationKind) (points []point) {
	steps := jobs.Procedures()[kind]
	for i, step := range steps {
		if step.NoReturn || i == len(steps)-1 {
			if i > 0 {
				points = append(points, point{"after", "do", steps[i-1].Name})
			}
			break
		}
		points = append(points, point{"before", "do", step.Name})
	}
	return points
}

func TestChangeoverIsCancelledAtEveryStepBeforeThePointOfNoReturn(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t)
	h.scale()
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	c := jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true}
	b := h.openBook()
	b.watchBoth(leader, follower)
	all := before(platform.FollowerChangeover)
	for _, p := range append(some(all[:len(all)-1], 4, seed), all[len(all)-1]) {
		h.cancelled(p, func() (platform.Operation, error) { return h.jobs.StartChangeover(t.Context(), actor, c) })
		b.mustWrite("after a cancel " + p.String())
	}
	// With a follower of its own, one that is not ready is removed again.
	points := before(platform.CreateFollower)
	for _, p := range some(points, 1, seed) {
		op := h.cancelled(p, func() (platform.Operation, error) {
			return h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, Plan: "standard-2", ConfirmedJobs: true})
		})
		if d := h.database(*op.TargetID); d.State != platform.DatabaseDestroyed {
			t.Errorf("%s: the new follower is %s", p, d.State)
		}
		if _, err := h.jobs.Retry(t.Context(), op.ID); platform.KindOf(err) != platform.KindConflict {
			t.Errorf("a retry without its follower: %v", err)
		}
	}

	// Too late: the answer says so, and the changeover completes.
	hook, id, answer := h.cancelAt(point{"before", "do", "unfollow"})
	h.setHook(hook)
	op, err := h.jobs.StartChangeover(t.Context(), actor, c)
	id <- op.ID
	op = h.ended(op, err, platform.OperationCompleted)
	h.setHook(nil)
	if err := <-answer; platform.KindOf(err) != platform.KindConflict {
		t.Errorf("a cancel after the point of no return: %v", err)
	}
	b.close("after the changeover")
	h.tookOver(op)
}

func TestEveryOtherProcedureIsCancelled(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t)
	ctx := t.Context()
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	other := h.leader("standard-0")
	starts := map[platform.OperationKind]func() (platform.Operation, error){
		platform.CreateDatabase: func() (platform.Operation, error) {
			return h.jobs.StartCreateDatabase(ctx, actor, h.app.ID, "standard-0", h.engine.Installations()[0].Major)
		},
		platform.CreateEssential: func() (platform.Operation, error) {
			return h.jobs.StartCreateDatabase(ctx, actor, h.app.ID, "essential-1", h.engine.Installations()[0].Major)
		},
		platform.CreateFollower: func() (platform.Operation, error) {
			return h.jobs.StartCreateFollower(ctx, actor, leader.ID, h.app.ID, "standard-0", "")
		},
		platform.Unfollow:      func() (platform.Operation, error) { return h.jobs.StartUnfollow(ctx, actor, follower.ID, h.app.Name) },
		platform.Promote:       func() (platform.Operation, error) { return h.jobs.StartPromote(ctx, actor, other.ID, h.app.ID) },
		platform.FenceDatabase: func() (platform.Operation, error) { return h.jobs.StartFence(ctx, actor, other.ID, h.app.Name) },
	}
	for kind, start := range starts {
		for _, p := range third(before(kind), seed) {
			op := h.cancelled(p, start)
			if made := h.database(op.DatabaseID); (kind == platform.CreateDatabase || kind == platform.CreateEssential || kind == platform.CreateFollower) && made.State != platform.DatabaseDestroyed {
				t.Errorf("%s cancelled %s: it is %s", kind, p, made.State)
			}
		}
	}
	if err := h.write(other); err != nil {
		t.Errorf("a fence that was cancelled: %v", err)
	}
	op, err := starts[platform.FenceDatabase]()
	h.ended(op, err, platform.OperationCompleted)
	for _, p := range some(before(platform.UnfenceDatabase), 1, seed) {
		h.cancelled(p, func() (platform.Operation, error) { return h.jobs.StartUnfence(ctx, actor, other.ID, h.app.Name) })
		if err := h.write(other); err == nil {
			t.Errorf("an unfence that was cancelled %s let a write through", p)
		}
	}
	// Its point of no return is its first step.
	op, err = h.jobs.StartDestroy(ctx, actor, other.ID, h.app.Name)
	if err := errors.Join(err, h.jobs.Cancel(ctx, actor, op.ID)); err == nil {
		h.ended(op, nil, "")
	} else {
		h.ended(op, nil, platform.OperationCompleted)
	}
}
