package local_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/platform/engine"
	"changeover/internal/platform/platformtest"
)

// freeze stops every process of s with SIGSTOP; they go on when the test ends.
func freeze(t *testing.T, s *platformtest.Server) {
	t.Helper()
	pids := s.Pids(t)
	if len(pids) < 4 {
		t.Fatalf("the follower has %d processes, expected a whole server", len(pids))
	}
	for _, pid := range pids {
		signal(t, pid, syscall.SIGSTOP)
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	}
}

func signal(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("%v to %d: %v", sig, pid, err)
	}
}

// A follower whose processes are all frozen, with more WAL on its way than the
// socket holds, must not delay the stop: PostgreSQL itself would wait for
// wal_sender_timeout.
func TestMeasuredStopForSwitchWithFrozenFollower(t *testing.T) {
	p := platformtest.New(t)
	leader := p.Leader(t, "standard-0")
	candidate := p.Follower(t, leader)
	other := p.Follower(t, leader)
	app := leader.Connect(t)
	exec(t, app, "create table load (id bigint, filler text)")
	freeze(t, other)
	exec(t, app, "insert into load select g, repeat('x', 200) from generate_series(1, 200000) g")

	if err := p.PrepareStop(t.Context(), leader.Server); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	begin := time.Now()
	control, proof, err := p.StopForSwitch(ctx, platformtest.Epoch, leader.Server, candidate.Slot)
	took := time.Since(begin)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("stopped in %s with a frozen other follower", took)
	if took > time.Second {
		t.Errorf("the stop took %s, want less than 1 s", took)
	}
	proven, err := proof(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if proven != control || control.State != engine.ShutDown {
		t.Errorf("read %+v, pg_controldata says %+v", control, proven)
	}
	admin := candidate.ConnectAdmin(t)
	platformtest.Await(t, "the replay of the shutdown checkpoint", func() (bool, error) {
		var past bool
		err := admin.QueryRow(t.Context(), "select pg_last_wal_replay_lsn() > $1::pg_lsn", control.CheckpointLSN.String()).Scan(&past)
		return past, err
	})
	if err := p.EndAll(t.Context(), platformtest.Epoch, leader.Server); err != nil {
		t.Fatal(err)
	}
	end, err := p.EndOfWAL(t.Context(), leader.Server, control)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Promote(t.Context(), platformtest.Epoch, candidate.Server); err != nil {
		t.Fatal(err)
	}
	platformtest.Await(t, "the promotion", func() (bool, error) {
		status, err := p.Status(t.Context(), candidate.Server)
		return status.Control.State == engine.InProduction, err
	})
	history, err := os.ReadFile(filepath.Join(candidate.DataDir(), "pg_wal", "00000002.history"))
	if err != nil {
		t.Fatal(err)
	}
	if fork := strings.Fields(string(history))[1]; fork != end.String() {
		t.Errorf("the new timeline begins at %s, the old one ends at %s", fork, end)
	}
}
