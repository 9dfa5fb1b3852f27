package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// dump is everything in the control database that may say why an operation does
// not go on.
func (h *house) dump() string {
	var text strings.Builder
	for _, q := range []string{
		`select id, state, epoch, needs_person, reason, requested_at, now() as now from operations order by id desc limit 3`,
		`select name, state, started_at, detail from operation_steps where state not in ('pending', 'done')`,
		`select id, state, attempt, created_at, scheduled_at, attempted_at, attempted_by, args from river_job where kind = 'operation' order by id desc limit 8`,
		`select * from river_leader`, `select name, paused_at, updated_at from river_queue`,
		`select pid, application_name, state, wait_event_type, wait_event, now() - state_change as since, left(query, 90) as query from pg_stat_activity where datname = current_database()`,
		`select pid, locktype, mode, granted, classid, objid from pg_locks where not granted or locktype = 'advisory'`,
	} {
		fmt.Fprintln(&text, q)
		rows, err := h.pool.Query(context.Background(), `select row_to_json(t)::text from (`+q+`) t`)
		if err == nil {
			var lines []string
			lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
			for _, line := range lines {
				fmt.Fprintln(&text, " ", line)
			}
		}
		if err != nil {
			fmt.Fprintln(&text, " ", err)
		}
	}
	return text.String()
}

// A changeover whose worker was killed twice goes on in the third one.
func TestThirdWorkerGoesOn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 2)
	h.handOver()
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		t.Fatal(err)
	}
	h.startWorker(point{"before", "do", "pause_pools"}, syscall.SIGKILL).awaitEnd()
	h.awaitNoGuardian()
	h.tell(`update operation_steps set state = 'pending', started_at = null where name = 'pause_pools'`)
	h.startWorker(point{"after", "do", "pause_pools"}, syscall.SIGKILL).awaitEnd()
	p.mustWrite("left alone by the second attempt")
	h.awaitNoGuardian()
	again := h.startWorker(point{}, 0)
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		now, err := db.OperationByID(t.Context(), h.pool, op.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !now.State.Open() {
			t.Logf("third worker: %s in %s", now.State, time.Since(began))
			break
		}
		if time.Since(began) > 90*time.Second { // as in ended
			text := h.dump()
			again.signal(syscall.SIGQUIT)
			<-again.ended
			t.Fatalf("it came to %q\n%s", again.points(), text)
		}
	}
	h.tookOver(h.ended(op, nil, platform.OperationCompleted))
	again.kill()
	h.takeBack()
	p.close("after the changeover", true)
}
