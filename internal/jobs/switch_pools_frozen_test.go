package jobs_test

import (
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

// A PgBouncer that is frozen does not keep the clients of the others waiting, and
// direct clients not from their new URL.
func TestMeasuredFrozenPoolHoldsUpNoOther(t *testing.T) {
	h := newHouse(t)
	leader := h.leader("standard-0")
	p := h.pooled(leader, 2)
	frozen, err := h.jobs.AttachPool(t.Context(), actor, h.app.ID, leader.ID, "REPORTS")
	if err != nil {
		t.Fatal(err)
	}
	h.setHook(func(when, what, name string) error {
		if when == "before" && what == "do" && name == "pause_pools" {
			pids, err := h.engine.PoolProcesses(*frozen.PoolID)
			if err != nil || len(pids) != 1 {
				t.Errorf("processes of the pool: %v %v", pids, err)
				return nil
			}
			return syscall.Kill(pids[0], syscall.SIGSTOP)
		}
		return nil
	})
	op, err := h.jobs.StartUpgrade(t.Context(), actor, jobs.Upgrade{DatabaseID: leader.ID, Plan: "standard-2", When: jobs.UpgradeAtOnce})
	op = h.ended(op, err, platform.OperationCompleted)
	h.setHook(nil)
	t.Logf("\n%s", h.timeline(op))
	// The switch waits for it for a tenth of a second, and for what a step costs besides.
	if took := h.took(op, "resume_pools"); took > 150*time.Millisecond {
		t.Errorf("direct clients waited for %s until their new URL came", took)
	}
	facts, err := db.ChangeoverOf(t.Context(), h.pool, op.ID)
	if err != nil || facts.OutageMS == nil || facts.HeldMS == nil {
		t.Fatalf("%v: direct writes were refused for %v ms, and the other pool's clients held for %v ms", err, facts.OutageMS, facts.HeldMS)
	}
	// One of them is held until it is set right, after the proof: a frozen PgBouncer
	// is taken for dead after 2 s.
	if least := h.startOf(op, "start_old_server").Sub(h.startOf(op, "fence_writes")) + 2*time.Second; *facts.HeldMS < float64(least.Milliseconds()) {
		t.Errorf("clients of pools are said to have been held for %.0f ms at most, but one of the pools was not led for %s", *facts.HeldMS, least)
	}
	t.Logf("direct writes were refused for %.0f ms, clients of pools held for %.0f ms at most", *facts.OutageMS, *facts.HeldMS)
	report := p.close("beside a frozen pool", true)
	// The limit of a pause, what a PgBouncer may take to be reached, the switch.
	if report.LongestGap > 2*time.Second {
		t.Errorf("a client of the other pool waited for %s", report.LongestGap)
	}
	if status, err := h.engine.PoolStatus(engine.Pool{ID: *frozen.PoolID}); err != nil || !status.Running || status.ServerPort != h.serverOf(h.database(leader.ID)).Port {
		t.Errorf("the frozen pool: %+v, %v; want it running and leading to the new server", status, err)
	}
}

// startOf is when a step of an operation began.
func (h *house) startOf(op platform.Operation, name string) time.Time {
	h.t.Helper()
	steps, err := db.OperationSteps(h.t.Context(), h.pool, op.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range steps {
		if s.Name == name && s.StartedAt != nil {
			return *s.StartedAt
		}
	}
	h.t.Fatalf("%s did not begin in\n%s", name, h.timeline(op))
	return time.Time{}
}

// took is how long a step of an operation took.
func (h *house) took(op platform.Operation, name string) time.Duration {
	h.t.Helper()
	steps, err := db.OperationSteps(h.t.Context(), h.pool, op.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range steps {
		if s.Name == name && s.StartedAt != nil && s.FinishedAt != nil {
			return s.FinishedAt.Sub(*s.StartedAt)
		}
	}
	h.t.Fatalf("%s did not end in\n%s", name, h.timeline(op))
	return 0
}
