package jobs_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// kill9 ends every process of a database's server, as a crash of the machine does.
func (h *house) kill9(d platform.Database) {
	server, err := db.ServerOf(h.t.Context(), h.pool, d.ID)
	if err != nil {
		h.t.Error(err)
		return
	}
	pids, err := h.engine.Processes(h.server(server))
	if err != nil || len(pids) == 0 {
		h.t.Errorf("no processes to kill (%v)", err)
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // those that ended by themselves are fine
	}
}

// The leader is killed while a follower is copied from it: it comes back at
// once, with every commit, also where the operation has claimed it, and the
// copy is begun again.
func TestLeaderIsKilledWhileAFollowerIsCopied(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.durable = true
	leader := h.leader("standard-0")
	b := h.openBook()
	for _, start := range []func() (platform.Operation, error){
		func() (platform.Operation, error) {
			return h.jobs.StartCreateFollower(t.Context(), actor, leader.ID, h.app.ID, "standard-0", "")
		},
		func() (platform.Operation, error) {
			return h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, Plan: "standard-0", ConfirmedJobs: true})
		},
	} {
		killed := make(chan time.Time, 1)
		var once sync.Once
		h.setHook(func(when, _, step string) error {
			if when == "after" && step == "copy_leader" {
				once.Do(func() { h.kill9(leader); killed <- time.Now() })
			}
			return nil
		})
		op, err := start()
		if err != nil {
			t.Fatal(err)
		}
		at := <-killed
		b.mustWrite("after the leader was killed")
		if away := time.Since(at); away > resumesWithin {
			t.Errorf("%s: the leader was away for %s", op.Kind, away)
		}
		op = h.ended(op, nil, "")
		h.setHook(nil)
		h.inOrder("after the leader was killed")
		t.Logf("%s %s: %s", op.Kind, op.State, op.Reason)
	}
	b.close("at the end")
}

// The candidate is killed in the middle of the switch, where nobody but the
// operation may start it again: before the point of no return it may be put
// back, after it there is only the way on.
func TestCandidateIsKilledInTheSwitch(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.scale()
	h.durable = true
	leader := h.leader("standard-0")
	points := []point{{"after", "do", "fence_writes"}, {"before", "do", "unfollow"}, {"after", "do", "unfollow"}, {"after", "do", "promote"}}
	for _, p := range some(points, 2, newSeed(t)) {
		follower := h.follower(leader, "standard-0")
		b := h.openBook()
		b.watchBoth(leader, follower)
		once := newKiller([]point{p})
		h.setHook(func(when, what, step string) error {
			if once.hook(when, what, step) != nil {
				h.kill9(follower)
			}
			return nil
		})
		op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
		op = h.ended(op, err, "")
		if op.State == platform.OperationUndone {
			if p.step != "fence_writes" {
				t.Fatalf("put back after the point of no return: %s", op.Reason)
			}
			h.putBack(op, leader, follower)
			op, err = h.jobs.Retry(t.Context(), op.ID)
			op = h.ended(op, err, platform.OperationCompleted)
		}
		h.setHook(nil)
		report := b.close("after the candidate was killed " + p.String())
		once.check(t)
		old := leader
		leader = h.tookOver(op)
		h.destroyed(old)
		t.Logf("candidate killed %s: longest refusal %s", p, report.LongestRefusal)
	}
}

// What cannot be made leaves nothing half-made, and a sentence that says why.
func TestNothingHalfMadeIsLeft(t *testing.T) {
	t.Parallel()
	disk := &smallDisk{}
	h := newHouse(t, withEngine(func(e jobs.Engine) jobs.Engine { disk.Engine = e; return disk }))
	h.portIsTaken()
	leader := h.leader("standard-0")
	h.diskIsTooFull(disk, leader)
	h.followerDoesNotStart(leader)
}

// followerDoesNotStart: the reason has its log's lines.
func (h *house) followerDoesNotStart(leader platform.Database) {
	t := h.t
	h.setHook(func(when, _, step string) error {
		if when != "before" || step != "start_follower" {
			return nil
		}
		files, err := filepath.Glob(filepath.Join(h.engine.Home, "b", "servers", "*", "data", "postgresql.auto.conf"))
		if err != nil || len(files) != 1 {
			t.Errorf("%v %v", files, err)
			return nil
		}
		if err := os.WriteFile(files[0], []byte("no_such_setting = 1\n"), 0o600); err != nil {
			t.Error(err)
		}
		return nil
	})
	op, err := h.jobs.StartCreateFollower(t.Context(), actor, leader.ID, h.app.ID, "standard-0", "")
	op = h.ended(op, err, platform.OperationUndone)
	if !strings.Contains(op.Reason, "did not start") || !strings.Contains(op.Reason, `unrecognized configuration parameter "no_such_setting"`) {
		t.Errorf("the reason is %q", op.Reason)
	}
	h.setHook(nil)
	h.inOrder("after a follower that did not start")
	if err := h.write(leader); err != nil {
		t.Error(err)
	}
}

// smallDisk is an engine on a disk that is nearly full.
type smallDisk struct {
	jobs.Engine
	mu   sync.Mutex
	full bool
}

func (e *smallDisk) Disk(zone string) (free, total int64, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.full {
		return 700 << 20, 100 << 30, nil
	}
	return e.Engine.Disk(zone)
}

func (e *smallDisk) fill(full bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.full = full
}

// diskIsTooFull: nothing that fills it starts, and what started before it was
// too full stops in a sentence.
func (h *house) diskIsTooFull(disk *smallDisk, leader platform.Database) {
	t := h.t
	disk.fill(true)
	_, err := h.jobs.StartCreateFollower(t.Context(), actor, leader.ID, h.app.ID, "standard-0", "")
	isFull := func(text string) bool {
		return strings.Contains(text, "has 700 MB free") && strings.Contains(text, "Free some space")
	}
	if platform.KindOf(err) != platform.KindConflict || !isFull(err.Error()) {
		t.Errorf("a follower on a full disk: %v", err)
	}
	if _, err := h.jobs.StartCreateDatabase(t.Context(), actor, h.app.ID, "standard-0", leader.Major); platform.KindOf(err) != platform.KindConflict {
		t.Errorf("a database on a full disk: %v", err)
	}
	if _, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, Plan: "standard-0", ConfirmedJobs: true}); platform.KindOf(err) != platform.KindConflict {
		t.Errorf("a changeover on a full disk: %v", err)
	}
	disk.fill(false)
	h.setHook(func(when, _, step string) error {
		if when == "before" && step == "reserve_server" {
			disk.fill(true)
		}
		return nil
	})
	op, err := h.jobs.StartCreateFollower(t.Context(), actor, leader.ID, h.app.ID, "standard-0", "")
	op = h.ended(op, err, platform.OperationUndone)
	if !isFull(op.Reason) {
		t.Errorf("the reason is %q", op.Reason)
	}
	// The changeover's own check stops it, before anything was reserved.
	disk.fill(false)
	h.setHook(func(when, _, step string) error {
		if when == "before" && step == "check" {
			disk.fill(true)
		}
		return nil
	})
	op, err = h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, Plan: "standard-0", ConfirmedJobs: true})
	op = h.ended(op, err, platform.OperationUndone)
	t.Log(op.Reason)
	h.setHook(nil)
	disk.fill(false)
	h.inOrder("after the disk was full")
}

// portIsTaken by a stranger between its reservation and the first start: no
// other one is taken instead.
func (h *house) portIsTaken() {
	t := h.t
	var stranger net.Listener
	h.setHook(func(when, _, step string) error {
		if when != "before" || step != "start_server" || stranger != nil {
			return nil
		}
		servers, err := db.ListServers(t.Context(), h.pool)
		if err != nil || len(servers) != 1 {
			t.Errorf("%v %v", servers, err)
			return nil
		}
		stranger, err = net.Listen("tcp", net.JoinHostPort(h.engine.Host(), strconv.Itoa(servers[0].Port)))
		if err != nil {
			t.Error(err)
		}
		return nil
	})
	op, err := h.jobs.StartCreateDatabase(t.Context(), actor, h.app.ID, "standard-0", h.engine.Installations()[0].Major)
	op = h.ended(op, err, platform.OperationUndone)
	h.setHook(nil)
	if stranger == nil || !strings.Contains(op.Reason, "another program has taken it") || !strings.Contains(op.Reason, "End that program") {
		t.Errorf("the reason is %q", op.Reason)
	}
	_ = stranger.Close()
	h.inOrder("after a stranger took the port")
}
