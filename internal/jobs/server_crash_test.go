package jobs_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"changeover/bench/ledger"
	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
)

// Servers crash outside of any operation, and before the fence of one.
func TestServersCrash(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.scale()
	h.durable = true
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	h.killedLeaderComesBack(leader)
	h.crashedServerWaitsForItsPort(leader)
	h.leaderRestartsItself(leader, follower)
	h.fencedServerComesBackInRecovery(leader)
}

// killedLeaderComesBack by itself after its postmaster was killed, without a
// commit missing, and its follower streams again.
func (h *house) killedLeaderComesBack(leader platform.Database) {
	t := h.t
	url := h.urlOf(leader.ID)
	if err := ledger.Setup(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	w := ledger.Start(context.WithoutCancel(t.Context()), ledger.Fixed(url), 2, ledger.Options{AllSynchronous: true})
	mustCommit(h, w)
	status, err := h.engine.Status(t.Context(), h.serverOf(leader))
	if err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if err := syscall.Kill(status.PID, syscall.SIGKILL); err != nil { // the postmaster alone: its backends go on for a while
		t.Fatal(err)
	}
	platformtest.Await(t, "another postmaster", func() (bool, error) {
		now, err := h.engine.Status(t.Context(), h.serverOf(leader))
		return now.Running && now.PID != status.PID, err
	})
	mustCommit(h, w)
	back := time.Since(killed)
	if back > resumesWithin {
		t.Errorf("the leader was away for %s", back)
	}
	w.Stop()
	if audit, err := w.Verify(t.Context(), url); err != nil || !audit.Sound() {
		t.Errorf("%+v %v", audit, err)
	}
	h.inOrder("after the crash")
	t.Logf("it wrote again %s after the kill", back.Round(time.Millisecond))
}

// crashedServerWaitsForItsPort: while a stranger has that it stays down, never
// takes another one, and comes back when the stranger goes.
func (h *house) crashedServerWaitsForItsPort(leader platform.Database) {
	t := h.t
	var before int64
	if err := h.pool.QueryRow(t.Context(), `select last_value from epochs`).Scan(&before); err != nil {
		t.Fatal(err)
	}
	server := h.serverOf(leader)
	h.close() // nobody starts it while the port changes hands
	h.kill9(leader)
	address := net.JoinHostPort(h.engine.Host(), strconv.Itoa(server.Port))
	var stranger net.Listener
	platformtest.Await(t, "the free port", func() (bool, error) {
		var err error
		stranger, err = net.Listen("tcp", address)
		return err == nil, nil
	})
	h.open()
	looked := time.Now()
	platformtest.Await(t, "a look at the server", func() (bool, error) { // keep_running has taken an epoch for its start
		var last int64
		err := h.pool.QueryRow(t.Context(), `select last_value from epochs`).Scan(&last)
		return last > before && time.Since(looked) > time.Second, err
	})
	if status, err := h.engine.Status(t.Context(), server); err != nil || status.Running {
		t.Errorf("it runs although its port is a stranger's: %+v %v", status, err)
	}
	_ = stranger.Close()
	h.inOrder("after the stranger went")
	if now := h.serverOf(leader); now.Port != server.Port {
		t.Errorf("port %d became %d", server.Port, now.Port)
	}
	if err := h.write(leader); err != nil {
		t.Error(err)
	}
}

// fencedServerComesBackInRecovery when the machine went down under it,
// whichever of its two marks is left.
func (h *house) fencedServerComesBackInRecovery(leader platform.Database) {
	t := h.t
	op, err := h.jobs.StartFence(t.Context(), actor, leader.ID, h.app.Name)
	h.ended(op, err, platform.OperationCompleted)
	file := filepath.Join(h.engine.Home, "servers", strconv.FormatInt(h.serverOf(leader).ID, 10), "data", "standby.signal")
	for name, lose := range map[string]func() error{
		"both marks are there": func() error { return nil },
		"the file is lost":     func() error { return os.Remove(file) },
		"the control database's mark is lost": func() error {
			return db.SetServerFenced(t.Context(), h.pool, h.serverOf(leader).ID, false)
		},
	} {
		h.close()
		h.kill9(leader)
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		h.open()
		platformtest.Await(t, "the server", func() (bool, error) {
			conn, err := pgx.ConnectConfig(t.Context(), h.engine.Admin(h.serverOf(leader), "postgres"))
			if err != nil {
				return false, nil
			}
			defer func() { _ = conn.Close(t.Context()) }()
			var inRecovery bool
			if err := conn.QueryRow(t.Context(), `select pg_is_in_recovery()`).Scan(&inRecovery); err != nil || !inRecovery {
				t.Errorf("%s: in recovery: %t (%v)", name, inRecovery, err)
			}
			return true, nil
		})
		if err := h.write(leader); err == nil {
			t.Errorf("%s: a fenced server takes writes after a crash", name)
		}
		if err := db.SetServerFenced(t.Context(), h.pool, h.serverOf(leader).ID, true); err != nil {
			t.Fatal(err)
		}
	}
	h.inOrderBut("after the crashes", "DATABASE_URLs that take no writes")
}

// leaderRestartsItself when a process of it crashes after it was marked as
// fenced: into recovery, from which it is put back to writing.
func (h *house) leaderRestartsItself(leader, follower platform.Database) {
	t := h.t
	b := h.openBook()
	b.watchBoth(leader, follower)
	for _, cancel := range []bool{true, false} {
		id := make(chan int64, 1)
		crash := newKiller([]point{{"after", "do", "prepare_switch"}})
		h.setHook(func(when, what, step string) error {
			if crash.hook(when, what, step) == nil {
				return nil
			}
			pid := query[int](h, leader, `select pid from pg_stat_activity where backend_type = 'walwriter'`)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
			platformtest.Await(t, "recovery", func() (bool, error) {
				status, err := h.engine.Status(t.Context(), h.serverOf(leader))
				return status.Control.State == engine.InArchiveRecovery, err
			})
			if cancel {
				if err := h.jobs.Cancel(t.Context(), actor, <-id); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		id <- op.ID
		op = h.ended(op, err, platform.OperationUndone)
		h.setHook(nil)
		h.putBack(op, leader, follower)
		b.mustWrite("after it was put back")
		if cancel != (op.Reason == "Cancelled by "+actor+".") {
			t.Errorf("the reason is %q", op.Reason)
		}
	}
	b.close("at the end")
}
