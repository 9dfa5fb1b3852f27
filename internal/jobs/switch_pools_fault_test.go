package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

// Killed at each step of the stretch, the program goes on where it was; what the
// clients see is a longer wait. Undone, they go on with the old leader.
func TestPooledClientsSurviveKillsOfTheProgram(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-2")
	p := h.pooled(leader, 4)
	killed := errors.New("killed")
	seed := newSeed(t)
	for i, step := range []string{"pause_pools", "fence_writes", "wait_until_zero_behind", "unfollow", "resume_pools", "promote"} {
		for k, when := range []string{"before", "after"} {
			if !everything() && (2*i+k+seed)%3 != 0 { // a third of them in CI
				continue
			}
			done := false
			h.setHook(func(at, what, name string) error {
				if !done && at == when && what == "do" && name == step {
					done = true
					return killed
				}
				return nil
			})
			op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
			op = h.ended(op, err, platform.OperationCompleted)
			h.setHook(nil)
			if !done {
				t.Fatalf("%s %s: it was not killed\n%s", when, step, h.timeline(op))
			}
			p.mustWrite(fmt.Sprintf("killed %s %s", when, step))
			if got := p.leads(); got != h.serverOf(follower).Port {
				t.Fatalf("killed %s %s: the pool leads to port %d, want %d", when, step, got, h.serverOf(follower).Port)
			}
			old := leader
			leader = h.database(follower.ID)
			op, err = h.jobs.StartDestroy(t.Context(), actor, old.ID, h.app.Name)
			h.ended(op, err, platform.OperationCompleted)
			follower = h.follower(leader, "standard-2")
		}
	}
	p.close("killed at every step", true)
}

// A PgBouncer that is killed in the middle of a switch breaks its clients'
// connections and nothing else: nothing acknowledged is missing, and the pool is
// back, never leading to the fenced server.
func TestMeasuredPoolIsKilledInTheMiddleOfASwitch(t *testing.T) {
	h := newHouse(t)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-2")
	p := h.pooled(leader, 4)
	var at time.Time
	h.setHook(func(when, what, name string) error {
		if at.IsZero() && when == "after" && what == "do" && name == "fence_writes" {
			at = time.Now()
			pids, err := h.engine.PoolProcesses(*p.attachment.PoolID)
			if err != nil || len(pids) != 1 {
				t.Errorf("processes of the pool: %v %v", pids, err)
				return nil
			}
			return syscall.Kill(pids[0], syscall.SIGKILL)
		}
		return nil
	})
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	op = h.ended(op, err, platform.OperationCompleted)
	h.setHook(nil)
	t.Logf("\n%s", h.timeline(op))
	p.mustWrite("after the kill")
	if took := time.Since(at); took > 5*time.Second {
		t.Errorf("clients write again after %s", took)
	}
	if got := p.leads(); got != h.serverOf(follower).Port {
		t.Errorf("the pool leads to port %d, want %d", got, h.serverOf(follower).Port)
	}
	p.close("the pool killed", false)
}

// A pool that dies on an ordinary day is back within 5 s, and one that was left
// paused goes on.
func TestMeasuredPoolsAreKept(t *testing.T) {
	h := newHouse(t)
	leader := h.leader("standard-0")
	p := h.pooled(leader, 2)
	id := *p.attachment.PoolID
	pids, err := h.engine.PoolProcesses(id)
	if err != nil || len(pids) != 1 {
		t.Fatalf("%v %v", pids, err)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	p.mustWrite("after the kill")
	if took := time.Since(at); took > 5*time.Second {
		t.Errorf("back after %s, want 5 s", took)
	}
	list, err := db.Pools(t.Context(), h.pool)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v %v", list, err)
	}
	left := engine.Pool{ID: list[0].ID, Port: list[0].Port, Credentials: engine.Credentials{DatabaseName: list[0].DatabaseName}}
	epoch, err := db.NextEpoch(t.Context(), h.pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.engine.PausePool(t.Context(), epoch, left, time.Second); err != nil {
		t.Fatal(err)
	}
	p.mustWrite("after a pause that nobody ended")
	p.close("kept", false)

	// Detached, it goes, and its port is free.
	if err := db.InTx(t.Context(), h.pool, func(tx pgx.Tx) error {
		_, err := db.Detach(t.Context(), tx, p.attachment.ID, actor, nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	gone := func() bool {
		pids, err := h.engine.PoolProcesses(id)
		left, dbErr := db.Pools(t.Context(), h.pool)
		return err == nil && dbErr == nil && len(pids) == 0 && len(left) == 0
	}
	waitUntil(t, "the pool is gone", gone)

	// Started again by a switch that knew it from before, it goes as well.
	if epoch, err = db.NextEpoch(t.Context(), h.pool); err != nil {
		t.Fatal(err)
	}
	left.ServerPort = *list[0].ServerPort
	left.Verifier, left.RoleName, left.Size, left.Clients = list[0].Verifier, list[0].RoleName, 2, 10
	if err := h.engine.StartPool(t.Context(), epoch, left); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the pool that was started again is gone", gone)
}

// The app is down while a changeover waits for the pool, so it does not wait for
// ever: it is put back, and the app is up again.
func TestPooledTransactionIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(h *house) { h.patience = 2 * time.Second })
	h.scale()
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	p := h.pooled(leader, 2)
	held := p.hold()
	time.Sleep(300 * time.Millisecond) // older than what a pause would wait for
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	op = h.ended(op, err, platform.OperationUndone)
	if !strings.Contains(op.Reason, "through the connection pool did not end") {
		t.Errorf("the reason is %q", op.Reason)
	}
	if _, err := held.Exec(t.Context(), "commit"); err != nil {
		t.Errorf("the transaction that was in the way: %v", err)
	}
	p.close("after it was put back", true)
	h.inOrder("after it was put back")
}

// The pool of the default name goes along with a promotion to a database of
// another origin, too: with that one's role, on the same port.
func TestPoolMovesToAnUnrelatedDatabase(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader, other := h.leader("standard-0"), h.leader("standard-0")
	p := h.pooled(leader, 1)
	p.close("before the promotion", true)
	process, err := h.engine.PoolProcesses(*p.attachment.PoolID)
	if err != nil || len(process) != 1 {
		t.Fatalf("processes of the pool: %v %v", process, err)
	}
	op, err := h.jobs.StartPromote(t.Context(), actor, other.ID, h.app.ID)
	h.ended(op, err, platform.OperationCompleted)
	before, after := p.url, p.configVar()
	if after == before || !strings.Contains(after, fmt.Sprintf(":%d/", p.attachment.PoolPort)) {
		t.Fatalf("the pool's URL did not move: the same %v", after == before)
	}
	p.url = after
	waitUntil(t, "the pool leads to the promoted database", func() bool {
		conn, err := pgx.Connect(t.Context(), p.url+"&default_query_exec_mode=simple_protocol")
		if err != nil {
			return false
		}
		_ = conn.Close(context.Background())
		return p.leads() == h.serverOf(other).Port
	})
	if now, err := h.engine.PoolProcesses(*p.attachment.PoolID); err != nil || !slices.Equal(now, process) {
		t.Errorf("the pool's processes were %v and are %v (%v); want the same one", process, now, err)
	}
}

// A program that dies between what it wrote of a pool and what it did about it
// leaves nothing undone: the next one starts what was attached and ends what was
// detached, whatever of its files was there.
func TestPoolIsAttachedAndDetachedByAProgramThatDies(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	leader := h.leader("standard-0")
	made := h.pooled(leader, 1)
	made.close("before", true)
	id := *made.attachment.PoolID
	port := made.attachment.PoolPort
	processes := func() int {
		t.Helper()
		pids, err := h.engine.PoolProcesses(id)
		if err != nil {
			t.Fatal(err)
		}
		return len(pids)
	}
	// Attached, and dead before PgBouncer was started: as if nothing had been made of it.
	h.close()
	epoch, err := db.NextEpoch(t.Context(), h.pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.engine.DestroyPool(t.Context(), epoch, id); err != nil {
		t.Fatal(err)
	}
	if n := processes(); n != 0 {
		t.Fatalf("%d processes of it are left", n)
	}
	h.open()
	waitUntil(t, "the pool takes clients", func() bool {
		conn, err := pgx.Connect(t.Context(), made.url+"&default_query_exec_mode=simple_protocol")
		if err == nil {
			_ = conn.Close(context.Background())
		}
		return err == nil
	})
	// Detached, and dead before anything of it was ended.
	h.close()
	if err := db.InTx(t.Context(), h.pool, func(tx pgx.Tx) error {
		_, err := db.Detach(t.Context(), tx, made.attachment.ID, actor, nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if n := processes(); n == 0 {
		t.Error("nobody ran, and the pool is gone")
	}
	h.open()
	waitUntil(t, "the pool is gone", func() bool {
		left, err := db.Pools(t.Context(), h.pool)
		return err == nil && len(left) == 0 && processes() == 0
	})
	listener, err := net.Listen("tcp", net.JoinHostPort(h.engine.Host(), strconv.Itoa(port)))
	if err != nil {
		t.Fatalf("its port is not free: %v", err)
	}
	_ = listener.Close()
	h.inOrder("after it was detached")
}
