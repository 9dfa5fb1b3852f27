package postgres

import (
	"context"
	"testing"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/platformtest"
)

// TestSwitchOnRealServers walks through a planned switch as a procedure does,
// with the probe running, and checks what each function says on the way.
func TestSwitchOnRealServers(t *testing.T) {
	p := newPair(t)
	ctx := t.Context()
	leader, candidate := p.leader.ConnectAdmin(t), p.follower.ConnectAdmin(t)
	app := p.leader.Connect(t)
	run(t, app, "create table t (n int)", "insert into t select generate_series(1, 1000)")

	done, err := PrepareCandidate(ctx, leader, candidate, Preparation{Slots: []string{"follower_3"}})
	check(t, err)
	if done.SynchronousCleared || len(done.SlotsMade) != 1 {
		t.Errorf("prepared: %+v", done)
	}
	_, err = PrepareCandidate(ctx, leader, candidate, Preparation{Slots: []string{"follower_3"}}) // again is harmless
	check(t, err)
	if slot, found, err := SlotState(ctx, candidate, "follower_3"); err != nil || !found || slot.RestartLSN == 0 {
		t.Errorf("the other follower's slot on the candidate: %+v, %v, %v", slot, found, err)
	}

	probe := NewProbe(p.leader.URL)
	check(t, probe.Start(ctx))
	defer probe.Stop()
	check(t, probe.Prepare(ctx, p.follower.URL))
	check(t, probe.WaitAccepted(ctx))
	if sessions, _, err := Sessions(ctx, leader); err != nil || sessions != 1 {
		t.Errorf("sessions = %d, %v; want the app's one, without the probe's", sessions, err)
	}

	began := time.Now()
	shutdown := p.stopLeader(t)
	var toGo []int64
	check(t, ReplayedPast(ctx, candidate, shutdown, func(n int64) { toGo = append(toGo, n) }))
	if at, err := FollowerPosition(ctx, candidate); err != nil || at.LSN <= shutdown {
		t.Errorf("replayed to %s, which is not past the shutdown checkpoint at %s (%v)", at.LSN, shutdown, err)
	}
	until, told := context.WithCancel(ctx)
	defer told()
	if err := ReplayedPast(until, p.follower.ConnectAdmin(t), shutdown+1<<40, func(n int64) { toGo = append(toGo, n); told() }); err == nil {
		t.Error("replayed past a record that does not exist")
	}
	if len(toGo) == 0 || toGo[len(toGo)-1] < 1<<39 {
		t.Errorf("bytes to go: %v", toGo)
	}

	run(t, candidate, "select pg_promote(false)")
	check(t, WaitWritable(ctx, candidate))
	probe.SetTarget(p.follower.URL)
	check(t, probe.WaitAccepted(ctx))
	ended := time.Now()
	outage := probe.Stop()
	if d := outage.Duration(); d <= 0 || d > ended.Sub(began)+10*time.Millisecond || outage.LastError == nil {
		t.Errorf("outage = %v (%+v), and the switch took %v", d, outage, ended.Sub(began))
	}
	t.Logf("outage %v, %d of %d writes refused", outage.Duration(), outage.Refused, outage.Attempts)

	if timeline, err := Timeline(ctx, candidate); err != nil || timeline != 2 {
		t.Errorf("timeline = %d, %v; want 2", timeline, err)
	}
	check(t, ResetCandidate(ctx, candidate))
	check(t, ResetCandidate(ctx, candidate))
	eventually(t, "the delay is reset", func() bool {
		var delay string
		check(t, candidate.QueryRow(ctx, "show max_standby_streaming_delay").Scan(&delay))
		return delay == "-1"
	})
	check(t, Checkpoint(ctx, candidate))
	if ready, err := CheckpointedSincePromotion(ctx, candidate); err != nil || !ready {
		t.Errorf("checkpointed since the promotion: %v, %v", ready, err)
	}
	check(t, Analyze(ctx, p.follower.ConnectAdmin(t), time.Minute))
	var rows float64
	check(t, candidate.QueryRow(ctx, "select reltuples from pg_class where relname = 't'").Scan(&rows))
	if rows != 1000 {
		t.Errorf("the planner thinks that t has %v rows, want 1000", rows)
	}
}

func testSynchronousCandidate(t *testing.T, p *pair) {
	ctx := t.Context()
	leader, candidate := p.leader.ConnectAdmin(t), p.follower.ConnectAdmin(t)
	run(t, candidate, "alter system set synchronous_standby_names = 'x'", "select pg_reload_conf()")
	eventually(t, "the setting is there", func() bool {
		var names string
		check(t, candidate.QueryRow(ctx, "show synchronous_standby_names").Scan(&names))
		return names == "x"
	})
	done, err := PrepareCandidate(ctx, leader, candidate, Preparation{})
	check(t, err)
	var names string
	check(t, candidate.QueryRow(ctx, "show synchronous_standby_names").Scan(&names))
	if !done.SynchronousCleared || names != "" {
		t.Errorf("prepared: %+v, the setting is %q", done, names)
	}
	check(t, ResetCandidate(ctx, candidate))
}

func testProofAndSlots(t *testing.T, p *pair) {
	ctx := t.Context()
	leader, follower := p.leader.ConnectAdmin(t), p.follower.ConnectAdmin(t)
	proofIs := func(want FollowerProof, marker platform.LSN) func() bool {
		return func() bool {
			got, err := ProveFollower(ctx, leader, follower, p.follower.Slot, marker)
			check(t, err)
			return got == want
		}
	}
	marker, err := Marker(ctx, leader)
	check(t, err)
	eventually(t, "the follower is proven", proofIs(FollowerProof{true, true, true}, marker))

	run(t, follower, "select pg_wal_replay_pause()")
	eventually(t, "replay paused", func() bool { at, err := FollowerPosition(ctx, follower); return err == nil && at.ReplayPaused })
	marker, err = Marker(ctx, leader)
	check(t, err)
	if !proofIs(FollowerProof{true, true, false}, marker)() {
		t.Error("a marker that is not replayed counts as replayed")
	}
	run(t, follower, "select pg_wal_replay_resume()")

	if err := DropSlot(ctx, leader, p.follower.Slot); platform.KindOf(err) != platform.KindConflict {
		t.Errorf("drop of a slot in use = %v, want a conflict", err)
	}
	check(t, p.platform.Stop(ctx, platformtest.Epoch, p.follower.Server))
	eventually(t, "nobody streams", func() bool {
		slot, _, err := SlotState(ctx, leader, p.follower.Slot)
		return err == nil && !slot.Active
	})
	check(t, DropSlot(ctx, leader, p.follower.Slot))
	check(t, DropSlot(ctx, leader, p.follower.Slot))
	for range 2 {
		check(t, CreatePhysicalSlot(ctx, leader, "again"))
	}
	slot, found, err := SlotState(ctx, leader, "again")
	if err != nil || !found || slot.RestartLSN == 0 || slot.Logical || slot.Active || slot.Invalidated || slot.WALStatus != "reserved" {
		t.Errorf("a new slot: %+v, %v, %v", slot, found, err)
	}
	if _, found, err := SlotState(ctx, leader, "none"); found || err != nil {
		t.Errorf("a slot that does not exist: %v, %v", found, err)
	}
	// A follower that never reads lets WAL pile up past what slots may keep.
	check(t, alterSystem(ctx, leader, "max_slot_wal_keep_size", "1", "alter system set max_slot_wal_keep_size = '1MB'"))
	eventually(t, "the slot is invalidated", func() bool {
		run(t, leader, "select pg_switch_wal()", "select pg_logical_emit_message(true, '', '')", "checkpoint")
		slot, _, err := SlotState(ctx, leader, "again")
		check(t, err)
		return slot.Invalidated
	})
	if lost, err := LostSlots(ctx, leader); err != nil || len(lost) != 1 || lost[0] != "again" {
		t.Errorf("lost slots: %v, %v", lost, err)
	}
}
