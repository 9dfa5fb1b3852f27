package jobs_test

import (
	"testing"

	"changeover/internal/platform"
)

// An operation goes on although its job is not run when it is due: somebody holds
// the job's row, so that River passes it over, or it was put off and nobody moves
// it, since the one among River's clients that does was killed.
func TestOperationGoesOnWithoutItsJob(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader := h.leader("standard-0")

	t.Run("held by somebody", func(t *testing.T) {
		h.handOver()
		op, err := h.jobs.StartFence(t.Context(), actor, leader.ID, h.app.Name)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := h.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(t.Context())
		if _, err := tx.Exec(t.Context(), `select from river_job where state = 'available' for update`); err != nil {
			t.Fatal(err)
		}
		h.takeBack()
		h.ended(op, nil, platform.OperationCompleted)
	})
	t.Run("put off", func(t *testing.T) {
		h.handOver()
		op, err := h.jobs.StartUnfence(t.Context(), actor, leader.ID, h.app.Name)
		if err != nil {
			t.Fatal(err)
		}
		h.tell(`update river_job set state = 'scheduled', scheduled_at = now() where state = 'available'`)
		h.tell(`delete from river_leader`)
		h.tell(`insert into river_leader (elected_at, expires_at, leader_id) values (now(), now() + interval '1 hour', 'killed')`)
		h.takeBack()
		h.ended(op, nil, platform.OperationCompleted)
	})
}
