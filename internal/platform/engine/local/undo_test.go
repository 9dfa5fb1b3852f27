package local_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/platformtest"
)

// Before the promotion everything can be undone: the old leader writes again on
// its own timeline, with the rows of its unlogged tables.
func TestUndoBeforePromotion(t *testing.T) {
	p := platformtest.New(t)
	leader := p.Leader(t, "standard-0")
	candidate := p.Follower(t, leader)
	exec(t, leader.Connect(t), "create unlogged table cache as select generate_series(1, 500) as id")
	before := status(t, p, candidate)

	stopLeader(t, p, 2, leader, candidate)
	begin := time.Now()
	inRecovery, err := p.WithdrawPromotion(t.Context(), 2, candidate.Server)
	if err != nil || !inRecovery {
		t.Fatalf("withdraw: %v, %v, want it in recovery", inRecovery, err)
	}
	if err := p.Unfence(t.Context(), 2, leader.Server); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context(), 2, leader.Server); err != nil {
		t.Fatal(err)
	}
	app := leader.Connect(t)
	exec(t, app, "insert into cache values (501)")
	t.Logf("writable again in %s", time.Since(begin))
	if got := platformtest.Query(t, app, "select count(*)::text from cache"); got != "501" {
		t.Errorf("the unlogged table has %s rows, want 501", got)
	}
	if got := status(t, p, leader); got.Control.Timeline != 1 || got.StandbySignal {
		t.Errorf("the old leader is %+v, want timeline 1 and no standby.signal", got)
	}
	if got := status(t, p, candidate); got.PID != before.PID {
		t.Error("a candidate that nobody asked to promote was restarted")
	}
	candidate.AwaitStreaming(t, leader)

	t.Run("promotion asked but not taken up", func(t *testing.T) { withdrawFrozen(t, p, leader, candidate) })
	t.Run("promotion done", func(t *testing.T) { withdrawTooLate(t, p, leader, candidate) })
	t.Run("old leader follows", func(t *testing.T) { followBack(t, p, leader, candidate) })
}

// stopLeader is the fence of a switch, up to the point of no return.
func stopLeader(t *testing.T, p *platformtest.Platform, epoch int64, leader, candidate *platformtest.Server) {
	t.Helper()
	if err := p.PrepareStop(t.Context(), leader.Server); err != nil {
		t.Fatal(err)
	}
	if err := p.Fence(t.Context(), epoch, leader.Server); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	_, proof, err := p.StopForSwitch(t.Context(), epoch, leader.Server, candidate.Slot)
	if err != nil {
		t.Fatal(err)
	}
	stopped := time.Since(begin)
	if err := p.EndAll(t.Context(), epoch, leader.Server); err != nil {
		t.Fatal(err)
	}
	ended := time.Since(begin)
	if _, err := proof(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("shut down after %s, all gone after %s, proven after %s", stopped, ended, time.Since(begin))
}

// The promotion's signal waits in the candidate: taking the file away does not
// call it back, only a restart does.
func withdrawFrozen(t *testing.T, p *platformtest.Platform, leader, candidate *platformtest.Server) {
	stopLeader(t, p, 3, leader, candidate)
	startup := 0
	for _, pid := range candidate.Pids(t) {
		title, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if err == nil && strings.Contains(string(title), "startup") {
			startup = pid
		}
	}
	if startup == 0 {
		t.Fatal("the candidate has no startup process")
	}
	signal(t, startup, syscall.SIGSTOP)
	t.Cleanup(func() { _ = syscall.Kill(startup, syscall.SIGCONT) })
	if err := p.Promote(t.Context(), 3, candidate.Server); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	inRecovery, err := p.WithdrawPromotion(t.Context(), 4, candidate.Server)
	if err != nil || !inRecovery {
		t.Fatalf("withdraw: %v, %v, want it in recovery", inRecovery, err)
	}
	t.Logf("withdrawn in %s", time.Since(begin))
	if err := p.Promote(t.Context(), 3, candidate.Server); !errors.Is(err, engine.ErrStaleEpoch) {
		t.Errorf("the overtaken attempt's promotion: %v, want ErrStaleEpoch", err)
	}
	if got := platformtest.Query(t, candidate.ConnectAdmin(t), "select pg_is_in_recovery()::text"); got != "true" {
		t.Error("the candidate left recovery")
	}
	if err := p.Unfence(t.Context(), 4, leader.Server); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context(), 4, leader.Server); err != nil {
		t.Fatal(err)
	}
	candidate.AwaitStreaming(t, leader)
}

// What is promoted stays promoted: not even its process changes.
func withdrawTooLate(t *testing.T, p *platformtest.Platform, leader, candidate *platformtest.Server) {
	if err := p.Fence(t.Context(), 5, leader.Server); err != nil {
		t.Fatal(err)
	}
	control, _, err := p.StopForSwitch(t.Context(), 5, leader.Server, candidate.Slot)
	if err != nil {
		t.Fatal(err)
	}
	admin := candidate.ConnectAdmin(t)
	platformtest.Await(t, "the replay", func() (bool, error) {
		return platformtest.Query(t, admin, "select (pg_last_wal_replay_lsn() > $1::pg_lsn)::text", control.CheckpointLSN.String()) == "true", nil
	})
	if err := p.EndAll(t.Context(), 5, leader.Server); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := p.Promote(t.Context(), 5, candidate.Server); err != nil {
		t.Fatal(err)
	}
	// In the middle of the promotion: it is let through, or it is off for good.
	inRecovery, err := p.WithdrawPromotion(t.Context(), 5, candidate.Server)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("asked to promote and withdrawn at once: in recovery %v after %s", inRecovery, time.Since(begin))
	if got := platformtest.Query(t, candidate.ConnectAdmin(t), "select pg_is_in_recovery()::text"); got != strconv.FormatBool(inRecovery) {
		t.Errorf("said to be in recovery: %v, but it says %s", inRecovery, got)
	}
	if inRecovery {
		if err := p.Promote(t.Context(), 5, candidate.Server); err != nil {
			t.Fatal(err)
		}
		platformtest.Await(t, "the promotion", func() (bool, error) {
			return status(t, p, candidate).Control.State == engine.InProduction, nil
		})
	}
	pid := status(t, p, candidate).PID
	if inRecovery, err = p.WithdrawPromotion(t.Context(), 6, candidate.Server); err != nil || inRecovery {
		t.Errorf("withdrawal of a promoted server: %v, %v, want false", inRecovery, err)
	}
	if got := status(t, p, candidate); got.PID != pid || !got.Running {
		t.Errorf("the promoted server was process %d and is %d", pid, got.PID)
	}
	if err := p.Promote(t.Context(), 6, candidate.Server); err != nil {
		t.Errorf("a second promotion: %v", err)
	}
	exec(t, candidate.Connect(t), "create table after_promotion (id int)")
}

// The old leader comes up in recovery, detached, then follows the new one.
func followBack(t *testing.T, p *platformtest.Platform, old, leader *platformtest.Server) {
	if err := p.Start(t.Context(), 6, old.Server); err != nil {
		t.Fatal(err)
	}
	if got := platformtest.Query(t, old.Connect(t), "select pg_is_in_recovery()::text || (select count(*) from pg_stat_wal_receiver)"); got != "true0" {
		t.Errorf("the fenced old leader: %s, want in recovery with no receiver", got)
	}
	if _, _, err := p.StopForSwitch(t.Context(), 6, old.Server, "nobody"); platform.KindOf(err) != platform.KindConflict || !status(t, p, old).Running {
		t.Errorf("the switch's stop of a server in recovery: %v, want Conflict and no stop", err)
	}
	marked := old.Server
	marked.Fenced = true
	if err := p.Follow(t.Context(), 6, marked, leader.Server, "follower_back"); platform.KindOf(err) != platform.KindConflict {
		t.Errorf("a fenced server was made to follow: %v", err)
	}
	if err := p.Promote(t.Context(), 6, marked); platform.KindOf(err) != platform.KindConflict {
		t.Errorf("a fenced server was promoted: %v", err)
	}
	slot := platformtest.SlotName(old.ID)
	exec(t, leader.ConnectAdmin(t), "select pg_create_physical_replication_slot($1, true)", slot)
	if err := p.Follow(t.Context(), 6, old.Server, leader.Server, slot); err != nil {
		t.Fatal(err)
	}
	old.AwaitStreaming(t, leader)
	pid := status(t, p, old).PID
	if err := p.Follow(t.Context(), 6, old.Server, leader.Server, slot); err != nil {
		t.Fatal(err)
	}
	if got := status(t, p, old); got.PID != pid {
		t.Error("a second Follow restarted it")
	}
	if !exists(filepath.Join(old.DataDir(), "standby.signal")) {
		t.Error("a follower without standby.signal")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
