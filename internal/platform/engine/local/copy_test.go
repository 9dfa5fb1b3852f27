package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"changeover/internal/platform/engine"
	"changeover/internal/platform/engine/local"
	"changeover/internal/platform/platformtest"
)

// A copy belongs to nobody: it goes on without the program, and what is cut
// off is begun again.
func TestCopySurvives(t *testing.T) {
	p := platformtest.New(t)
	leader := p.Leader(t, "standard-2")
	exec(t, leader.Connect(t), "create table filler as select g as id, repeat('x', 500) as body from generate_series(1, 40000) g")
	exec(t, leader.ConnectAdmin(t), "alter system set port = 1")
	exec(t, leader.ConnectAdmin(t), "alter system set work_mem = '5MB'")
	s := p.NewServer(t, "standard-0")
	s.Zone = "b"
	slot := platformtest.SlotName(s.ID)
	if _, err := p.CopyProgress(t.Context(), s); err == nil {
		t.Error("a copy that nobody began has progress")
	}
	begin := func() []int {
		t.Helper()
		if err := p.Copy(t.Context(), platformtest.Epoch, s, leader.Server, slot); err != nil {
			t.Fatal(err)
		}
		return copyPids(t, p, s)
	}

	pids := begin()
	for _, pid := range pids {
		signal(t, pid, syscall.SIGSTOP)
	}
	if again := begin(); again[0] != pids[0] {
		t.Errorf("a second Copy began another one: %v, then %v", pids, again)
	}
	// Another program on the same state directory, as after a restart.
	second, err := local.Open(local.Config{Home: p.Home, Zones: []local.Zone{{Name: "a", Dir: p.Home}, {Name: "b", Dir: p.Home + "/b"}}})
	if err != nil {
		t.Fatal(err)
	}
	progress, err := second.CopyProgress(t.Context(), s)
	if err != nil || !progress.Running || progress.Done || progress.TotalBytes < 20<<20 || progress.CopiedBytes > progress.TotalBytes {
		t.Errorf("progress after a restart: %+v, %v", progress, err)
	}
	for _, pid := range pids {
		signal(t, pid, syscall.SIGKILL)
	}
	platformtest.Await(t, "the failure", func() (bool, error) {
		progress, err = p.CopyProgress(t.Context(), s)
		return !progress.Running, err
	})
	if progress.Done || progress.Failure == "" {
		t.Errorf("progress of a copy that was killed: %+v", progress)
	}

	begin()
	p.AwaitCopy(t, s)
	if err := p.Start(t.Context(), platformtest.Epoch, s); err != nil {
		t.Fatal(err)
	}
	follower := *leader
	follower.Server, follower.Slot = s, slot
	follower.AwaitStreaming(t, leader)
	admin := follower.ConnectAdmin(t)
	if got := platformtest.Query(t, admin, "select concat_ws(' ', pg_is_in_recovery(), current_setting('superuser_reserved_connections'), current_setting('shared_buffers'), current_setting('work_mem'), current_setting('max_connections'), (select count(*) from filler))"); got != "t 420 16MB 5MB 540 40000" {
		t.Errorf("the copy has %s, want its own plan's settings and the leader's data", got)
	}
	for _, name := range []string{"server.key", "server.crt"} {
		mine, theirs := read(t, follower.DataDir(), name), read(t, leader.DataDir(), name)
		if mine == theirs {
			t.Errorf("the copy has its leader's %s", name)
		}
	}
	if err := p.Destroy(t.Context(), platformtest.Epoch, s); err != nil {
		t.Fatal(err)
	}

	t.Run("destroy while copying", func(t *testing.T) {
		pids := begin()
		signal(t, pids[0], syscall.SIGSTOP)
		if err := p.Destroy(t.Context(), platformtest.Epoch, s); err != nil {
			t.Fatal(err)
		}
		if pids := copyPidsNow(t, p, s); len(pids) != 0 {
			t.Errorf("the copy goes on after Destroy: %v", pids)
		}
	})
	t.Run("slot that lost its WAL", func(t *testing.T) {
		admin := leader.ConnectAdmin(t)
		exec(t, admin, "alter system set max_slot_wal_keep_size = '1MB'")
		exec(t, admin, "select pg_reload_conf()")
		platformtest.Await(t, "the loss", func() (bool, error) {
			exec(t, admin, "select pg_logical_emit_message(false, 'filler', repeat('x', 4000000))")
			exec(t, admin, "select pg_switch_wal()")
			exec(t, admin, "checkpoint")
			return platformtest.Query(t, admin, "select wal_status from pg_replication_slots where slot_name = $1", slot) == "lost", nil
		})
		begin()
		p.AwaitCopy(t, s)
		if got := platformtest.Query(t, admin, "select wal_status from pg_replication_slots where slot_name = $1", slot); got != "reserved" {
			t.Errorf("the slot is %s after the copy, want reserved", got)
		}
		if err := p.Destroy(t.Context(), platformtest.Epoch, s); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("wrong leader", func(t *testing.T) {
		if err := p.Copy(t.Context(), platformtest.Epoch, s, engine.Server{ID: 999, Zone: "a", Port: 1, Major: leader.Major}, slot); err == nil {
			t.Error("a copy of a server that is not there began")
		}
	})
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// copyPids waits for the copying programs of s and gives their pids.
func copyPids(t *testing.T, p *platformtest.Platform, s engine.Server) (pids []int) {
	t.Helper()
	platformtest.Await(t, "the copy's process", func() (bool, error) {
		pids = copyPidsNow(t, p, s)
		return len(pids) > 0, nil
	})
	return pids
}

func copyPidsNow(t *testing.T, p *platformtest.Platform, s engine.Server) (pids []int) {
	t.Helper()
	dir := filepath.Dir(p.DataDir(s))
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		cwd, err := os.Readlink("/proc/" + entry.Name() + "/cwd")
		if err == nil && strings.TrimSuffix(cwd, " (deleted)") == dir {
			pids = append(pids, number(entry.Name()))
		}
	}
	return pids
}
