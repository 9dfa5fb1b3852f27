package jobs_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// The whole machine goes down in the middle of a switch: runner, control
// database and every server at once. When it comes up again the changeover
// completes or is put back, and no acknowledged commit is missing.
func TestMachineGoesDownInTheSwitch(t *testing.T) {
	t.Parallel()
	seed := newSeed(t)
	h := newHouse(t, withOwnControl)
	h.scale()
	h.durable = true
	var points []point
	for _, step := range []string{"prepare_switch", "fence_writes", "wait_until_zero_behind", "unfollow", "check_writable", "promote", "start_old_leader"} {
		points = append(points, point{"before", "do", step}, point{"after", "do", step})
	}
	leader := h.leader("standard-0")
	for _, p := range some(points, 1, seed) {
		leader = h.crashed(leader, h.follower(leader, "standard-0"), p)
	}
}

func (h *house) crashed(old, follower platform.Database, p point) platform.Database {
	h.t.Helper()
	h.handOver()
	b := h.openBook()
	b.watchBoth(old, follower)
	op, err := h.jobs.StartChangeover(h.t.Context(), actor, jobs.Changeover{LeaderID: old.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	if err != nil {
		h.t.Fatal(err)
	}
	servers := []platform.Database{old, follower}
	pids := h.pids(servers)
	h.startWorker(p, syscall.SIGKILL).awaitEnd()
	pids = append(pids, h.pids(servers)...) // those of before may be gone, and others there
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err := h.stopControl(syscall.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
	up := time.Now()
	if _, err := h.engine.Control(context.Background()); err != nil {
		h.t.Fatal(err)
	}
	second := h.startWorker(point{}, 0)
	b.mustWrite("after the machine went down " + p.String())
	back := time.Since(up)
	if back > resumesWithin {
		h.t.Errorf("machine down %s: writes only after %s", p, back)
	}
	op = h.ended(op, nil, "")
	second.kill()
	h.takeBack()
	if op.State == platform.OperationUndone {
		h.putBack(op, old, follower)
		again, err := h.jobs.Retry(h.t.Context(), op.ID)
		again = h.ended(again, err, platform.OperationCompleted)
		h.t.Logf("machine down %s: put back (%s), writes after %s", p, op.Reason, back.Round(time.Millisecond))
		op = again
	} else {
		h.t.Logf("machine down %s: %s, writes after %s", p, op.State, back.Round(time.Millisecond))
	}
	b.close("after the machine went down " + p.String())
	leader := h.tookOver(op)
	h.destroyed(old)
	return leader
}

// pids are all processes of the databases' servers now.
func (h *house) pids(databases []platform.Database) (pids []int) {
	h.t.Helper()
	for _, d := range databases {
		list, err := h.engine.Processes(h.serverOf(d))
		if err != nil {
			h.t.Fatal(err)
		}
		pids = append(pids, list...)
	}
	return pids
}
