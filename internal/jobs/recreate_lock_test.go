package jobs_test

import (
	"testing"

	"changeover/internal/db/dbtest"
)

// Whoever starts to re-create a follower waits for its leader's row before
// taking the follower's, as a changeover does: else both could wait for ever.
func TestRecreationTakesTheLeadersRowFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t, withoutRunner)
	leader := dbtest.Database(t, h.pool, h.app.ID, 21000)
	follower := dbtest.Follower(t, h.pool, leader, h.app.ID, 21001)
	ctx := t.Context()
	changeover, err := h.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = changeover.Rollback(ctx) }()
	lock := func(id int64, how string) error {
		_, err := changeover.Exec(ctx, `select from databases where id = $1 for no key update`+how, id)
		return err
	}
	if err := lock(leader.ID, ""); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := h.jobs.StartRecreateFollower(ctx, actor, follower.ID, "")
		ended <- err
	}()
	waitUntil(t, "it waits", func() bool {
		return countOf(h, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == 1
	})
	if err := lock(follower.ID, " nowait"); err != nil {
		t.Errorf("it holds the follower while it waits for the leader: %v", err)
	}
	if err := changeover.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("and then: %v", err)
	}
}
