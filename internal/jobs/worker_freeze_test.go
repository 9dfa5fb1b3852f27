package jobs_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// frozenFor is how long a frozen runner sleeps, and the switch's deadline, which
// passes meanwhile.
func frozenFor() (sleep, deadline time.Duration) {
	if everything() {
		return 30 * time.Second, 10 * time.Second
	}
	return 6 * time.Second, 2 * time.Second
}

// A runner that is frozen inside the outage and woken again: before the point of
// no return the deadline has passed and everything is put back; after it, it goes on.
func TestFrozenRunnerWakes(t *testing.T) {
	t.Parallel()
	sleep, deadline := frozenFor()
	for p, want := range map[point]platform.OperationState{
		{"before", "do", "fence_writes"}: platform.OperationUndone,
		{"before", "do", "unfollow"}:     platform.OperationCompleted,
	} {
		h := newHouse(t, withDeadline(deadline))
		h.scale()
		leader, follower, op, b := h.changeoverByWorker()
		w := h.startWorker(p, syscall.SIGSTOP)
		w.awaitFrozen()
		time.Sleep(sleep) // what is tested is this time itself
		w.signal(syscall.SIGCONT)
		op = h.ended(op, nil, want)
		report := b.close("after the runner was frozen " + p.String())
		w.kill()
		h.takeBack()
		if want == platform.OperationCompleted {
			h.tookOver(op)
		} else {
			h.inOrder("after it was put back")
			h.putBack(op, leader, follower)
		}
		t.Logf("frozen %s for %s: %s, longest refusal %s", p, sleep, op.State, report.LongestRefusal.Round(time.Millisecond))
		h.close()
		h.jobs = nil
	}
}

// While a runner is frozen another one takes over, elected because the frozen
// one's connection is ended. When it wakes, at once or when all is over, it does
// nothing.
func TestOvertakenRunnerDoesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.scale()
	seed := newSeed(t)
	for i, p := range []point{{"before", "do", "fence_writes"}, {"before", "do", "unfollow"}} {
		for _, early := range some([]bool{false, true}, 1, seed+i) {
			h.overtaken(p, early)
		}
	}
}

func (h *house) overtaken(p point, early bool) {
	h.t.Helper()
	leader, _, op, b := h.changeoverByWorker()
	first := h.startWorker(p, syscall.SIGSTOP)
	first.awaitFrozen()
	frozen, err := db.OperationByID(h.t.Context(), h.pool, op.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	second := h.startWorker(point{}, 0)
	h.endElection(op)
	h.awaitEpoch(op, frozen.Epoch)
	traced := len(first.points())
	want := platform.OperationCompleted
	if early {
		first.signal(syscall.SIGCONT)
		want = "" // the two may get in each other's way; then it is put back
	}
	op = h.ended(op, nil, want)
	if !early {
		first.signal(syscall.SIGCONT)
		h.awaitPoint(first, point{"after", p.what, p.step})
	}
	b.mustWrite("after the runner woke")
	b.close("after the runner woke")
	if !early {
		if done := first.points()[traced:]; !slices.Equal(done, []string{point{"after", p.what, p.step}.String()}) {
			h.t.Fatalf("overtaken %s it went on: %q", p, done)
		}
	}
	first.kill()
	second.kill()
	h.takeBack()
	h.t.Logf("overtaken %s, woken early: %t: %s", p, early, op.State)
	if op.State == platform.OperationCompleted {
		h.tookOver(op)
		h.destroyed(leader)
		return
	}
	h.putBack(op, leader, h.database(*op.TargetID))
	retried, err := h.jobs.Retry(h.t.Context(), op.ID)
	h.tookOver(h.ended(retried, err, platform.OperationCompleted))
	h.destroyed(leader)
}

// changeoverByWorker is a changeover that a worker process is to run.
func (h *house) changeoverByWorker() (leader, follower platform.Database, op platform.Operation, b *book) {
	h.t.Helper()
	primary, ok, err := db.PrimaryAttachment(h.t.Context(), h.pool, h.app.ID)
	switch {
	case err != nil:
		h.t.Fatal(err)
	case ok:
		leader = h.database(primary.DatabaseID)
	default:
		leader = h.leader("standard-0")
	}
	follower = h.follower(leader, "standard-0")
	h.handOver()
	b = h.openBook()
	b.watchBoth(leader, follower)
	op, err = h.jobs.StartChangeover(h.t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		h.t.Fatal(err)
	}
	return leader, follower, op, b
}

// endElection ends the connection that elects the operation's runner.
func (h *house) endElection(op platform.Operation) {
	h.t.Helper()
	var ended int
	err := h.pool.QueryRow(h.t.Context(), `select count(pg_terminate_backend(pid)) from pg_locks
		where locktype = 'advisory' and objid = $1::bigint::oid and classid <> 0
		and database = (select oid from pg_database where datname = current_database())`, op.ID).Scan(&ended)
	if err != nil || ended != 1 {
		h.t.Fatalf("%d elections ended (%v)", ended, err)
	}
}

// awaitPoint waits until a worker came to a point.
func (h *house) awaitPoint(w *worker, p point) {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !slices.Contains(w.points(), p.String()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatalf("the worker did not come to %s: %q", p, w.points())
		}
	}
}

// putBack checks that everything is as before the changeover.
func (h *house) putBack(op platform.Operation, leader, follower platform.Database) {
	h.t.Helper()
	h.inOrder("after it was put back")
	now, still := h.database(leader.ID), h.database(follower.ID)
	if now.State != platform.DatabaseAvailable || now.ReplacedByID != nil || !still.IsFollower() {
		h.t.Fatalf("put back (%s), but: %+v %+v", op.Reason, now, still)
	}
	if err := h.write(now); err != nil {
		h.t.Fatalf("put back (%s), but %s takes no writes: %v", op.Reason, now.Name, err)
	}
}
