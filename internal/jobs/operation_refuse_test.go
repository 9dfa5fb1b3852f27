package jobs_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// What may not be done is refused in a sentence that says what to do instead.
func TestRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	other := h.leader("standard-0")
	refused := func(what string, err error, kind platform.Kind, words ...string) {
		t.Helper()
		if platform.KindOf(err) != kind {
			t.Errorf("%s: %v", what, err)
			return
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", what, err, word)
			}
		}
	}
	_, err := h.jobs.StartDestroy(ctx, actor, leader.ID, h.app.Name)
	refused("destroy with a follower", err, platform.KindConflict, "has a follower", follower.Name, "Unfollow or destroy")
	_, err = h.jobs.StartPromote(ctx, actor, follower.ID, h.app.ID)
	refused("promote a follower", err, platform.KindConflict, "still a follower", "Unfollow it first", "follower changeover")
	_, err = h.jobs.StartUnfollow(ctx, actor, follower.ID, "suschi")
	refused("unfollow, wrongly confirmed", err, platform.KindInvalid, "Type sushi")
	_, err = h.jobs.StartUnfollow(ctx, actor, leader.ID, h.app.Name)
	refused("unfollow a leader", err, platform.KindConflict, "follows nothing")
	_, err = h.jobs.StartFence(ctx, actor, follower.ID, h.app.Name)
	refused("fence a follower", err, platform.KindConflict, "Fence its leader")
	_, err = h.jobs.StartUnfence(ctx, actor, leader.ID, h.app.Name)
	refused("unfence what is not fenced", err, platform.KindConflict, "not fenced")
	_, err = h.jobs.StartChangeover(ctx, actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID})
	refused("a changeover with jobs that may write", err, platform.KindInvalid, "scheduled jobs")
	_, err = h.jobs.StartChangeover(ctx, actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &other.ID, ConfirmedJobs: true})
	refused("a changeover to a stranger", err, platform.KindInvalid, "does not follow")
	_, err = h.jobs.StartCreateFollower(ctx, actor, follower.ID, h.app.ID, "standard-0", "")
	refused("a follower of a follower", err, platform.KindConflict)

	op := h.secondIsRefused(leader, follower)
	_, err = h.jobs.StartUnfence(ctx, actor, leader.ID, h.app.Name)
	refused("unfence what was replaced", err, platform.KindConflict, "was replaced")
	_, err = h.jobs.StartPromote(ctx, actor, leader.ID, h.app.ID)
	refused("promote what is fenced", err, platform.KindConflict, "fenced")
	_, err = h.jobs.Retry(ctx, op.ID)
	refused("retry what completed", err, platform.KindConflict)
	err = h.jobs.Cancel(ctx, actor, op.ID)
	refused("cancel what completed", err, platform.KindConflict)
	_, err = h.jobs.StartDestroy(ctx, actor, follower.ID, h.app.Name)
	refused("destroy a DATABASE_URL", err, platform.KindConflict, "DATABASE_URL of sushi")
	h.oneWins(other)
	h.inOrder("after the refusals")
}

// secondIsRefused: while a changeover runs, another operation on either of its
// databases is refused, with a link to the one that runs.
func (h *house) secondIsRefused(leader, follower platform.Database) platform.Operation {
	t, ctx := h.t, h.t.Context()
	goOn := make(chan struct{})
	h.setHook(func(when, _, step string) error {
		if when == "before" && step == "turn_on_maintenance" {
			<-goOn
		}
		return nil
	})
	op, err := h.jobs.StartChangeover(ctx, actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		t.Fatal(err)
	}
	for what, start := range map[string]func() (platform.Operation, error){
		"unfollow": func() (platform.Operation, error) { return h.jobs.StartUnfollow(ctx, actor, follower.ID, h.app.Name) },
		"fence":    func() (platform.Operation, error) { return h.jobs.StartFence(ctx, actor, leader.ID, h.app.Name) },
		"destroy":  func() (platform.Operation, error) { return h.jobs.StartDestroy(ctx, actor, follower.ID, h.app.Name) },
		"changeover": func() (platform.Operation, error) {
			return h.jobs.StartChangeover(ctx, actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		},
	} {
		_, err := start()
		var refusal *platform.Error
		if !errors.As(err, &refusal) || refusal.Kind != platform.KindConflict || refusal.Link != fmt.Sprintf("/operations/%d", op.ID) {
			t.Errorf("%s beside a changeover: %v", what, err)
		}
	}
	close(goOn)
	op = h.ended(op, nil, platform.OperationCompleted)
	h.setHook(nil)
	return op
}

// oneWins: of many that start the same at the same time exactly one does, and
// nothing is left of the others.
func (h *house) oneWins(d platform.Database) {
	t := h.t
	var group sync.WaitGroup
	var mu sync.Mutex
	var won []platform.Operation
	for range 8 {
		group.Go(func() {
			op, err := h.jobs.StartFence(t.Context(), actor, d.ID, h.app.Name)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, op)
			} else if platform.KindOf(err) != platform.KindConflict {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of 8 started", len(won))
	}
	h.ended(won[0], nil, platform.OperationCompleted)
}
