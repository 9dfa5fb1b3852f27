package postgres

import (
	"strings"
	"testing"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

func preflight(t *testing.T, slot string, leader, follower *pgx.Conn, change func(*Target)) map[string]platform.Check {
	t.Helper()
	target := Target{
		Plan: platform.Plan{Name: "standard-0", StorageBytes: 64 << 30, Connections: 120},
		Slot: slot, FreeBytes: 50 << 30, TotalBytes: 100 << 30, WALBytesPerSecond: 1 << 20,
	}
	if change != nil {
		change(&target)
	}
	var on Querier
	if follower != nil {
		on = follower
	}
	checks, err := Preflight(t.Context(), leader, on, target)
	check(t, err)
	found := map[string]platform.Check{}
	for _, c := range checks {
		if _, twice := found[c.Name]; twice || c.Title == "" || !strings.HasSuffix(c.Detail, ".") || strings.Contains(c.Detail, "%!") {
			t.Errorf("not a proper check: %+v", c)
		}
		found[c.Name] = c
	}
	return found
}

// expect checks the state of one check and that its sentence holds the words.
func expect(t *testing.T, found map[string]platform.Check, name string, state platform.CheckState, words ...string) {
	t.Helper()
	c, there := found[name]
	if !there || c.State != state {
		t.Errorf("%s = %+v, want %s", name, c, state)
	}
	for _, w := range words {
		if !strings.Contains(c.Detail, w) {
			t.Errorf("%s says %q, want %q in it", name, c.Detail, w)
		}
	}
}

func testPreflight(t *testing.T, p *pair) {
	ctx := t.Context()
	leader, follower := p.leader.ConnectAdmin(t), p.follower.ConnectAdmin(t)
	app := p.leader.Connect(t)
	run(t, app, "insert into t values (1)")
	p.catchUp(t)

	found := preflight(t, p.follower.Slot, leader, follower, nil)
	for name, c := range found {
		if c.State != platform.CheckOK {
			t.Errorf("nothing is in the way, but %s: %+v", name, c)
		}
	}
	if len(found) != 15 {
		t.Errorf("%d checks, want 15: %v", len(found), found)
	}
	if alone := preflight(t, p.follower.Slot, leader, nil, nil); len(alone) != 9 {
		t.Errorf("%d checks without a follower, want 9: %v", len(alone), alone)
	}

	t.Run("figures of the target", func(t *testing.T) {
		found := preflight(t, p.follower.Slot, leader, follower, func(target *Target) {
			target.Plan.Connections, target.FreeBytes, target.WALBytesPerSecond = 0, 1<<20, 100<<20
		})
		expect(t, found, "connections", platform.CheckStop, "1 connection in use", "takes 0", "Close 1 of them")
		expect(t, found, "disk", platform.CheckStop, "1 MB are free", "5 GB are needed")
		expect(t, found, "wal_rate", platform.CheckKnow, "100 MB")
		found = preflight(t, p.follower.Slot, leader, nil, func(target *Target) { target.Plan.StorageBytes = 1 << 20 })
		expect(t, found, "disk", platform.CheckStop, "standard-0 holds 1 MB")
		found = preflight(t, p.follower.Slot, leader, follower, func(target *Target) { target.Plan.Connections = 1 })
		expect(t, found, "connections", platform.CheckKnow, "1 of the 1 connections")
	})

	t.Run("what lives in the database", func(t *testing.T) {
		// Before any transaction is open: a new logical slot waits for them all.
		run(t, leader, "select pg_create_logical_replication_slot('reader', 'pgoutput')",
			"create subscription orders connection 'host=nowhere' publication p with (connect = false, slot_name = none)")
		run(t, app, "create unlogged table scratch as select generate_series(1, 1000) n",
			"create temp table mine (n int)", "select pg_advisory_lock(7)", "listen news")
		other := p.leader.Connect(t)
		run(t, other, "begin", "insert into t values (2)", "prepare transaction 'left over'")
		slow := p.leader.Connect(t)
		run(t, slow, "begin", "select count(*) from t", "select pg_sleep(5.1)")

		found := preflight(t, p.follower.Slot, leader, follower, nil)
		expect(t, found, "unlogged_tables", platform.CheckKnow, "1 unlogged table (", "empty after the switch")
		expect(t, found, "session_state", platform.CheckKnow, "1 listener,", "1 temporary table,", "1 advisory lock.")
		expect(t, found, "prepared_transactions", platform.CheckKnow, "1 prepared transaction: the switch keeps", "left over (")
		expect(t, found, "logical_slots", platform.CheckKnow, "reader (not in use)")
		expect(t, found, "subscriptions", platform.CheckKnow, "orders (disabled)")
		expect(t, found, "long_transactions", platform.CheckKnow, "1 transaction open", "Connection ", "select pg_sleep(5.1)")
		run(t, leader, "drop subscription orders", "select pg_drop_replication_slot('reader')", "rollback prepared 'left over'")
	})

	t.Run("the follower", func(t *testing.T) {
		run(t, follower, "select pg_wal_replay_pause()")
		eventually(t, "replay paused", func() bool { at, err := FollowerPosition(ctx, follower); return err == nil && at.ReplayPaused })
		for range 201 {
			run(t, app, "insert into t values (3)")
		}
		found := preflight(t, p.follower.Slot, leader, follower, nil)
		expect(t, found, "replay", platform.CheckStop, "paused")
		expect(t, found, "lag", platform.CheckKnow, "The follower is 20", " commits and", "at most 200") // PostgreSQL may have committed, too
		run(t, follower, "select pg_wal_replay_resume()")

		found = preflight(t, p.follower.Slot, leader, follower, func(target *Target) { target.Slot = "nobody" })
		expect(t, found, "stream", platform.CheckStop, "no replication slot nobody")
		run(t, leader, "select pg_create_physical_replication_slot('idle', true)")
		found = preflight(t, p.follower.Slot, leader, follower, func(target *Target) { target.Slot = "idle" })
		expect(t, found, "stream", platform.CheckStop, "Nobody streams")

		run(t, leader, "select pg_drop_replication_slot('idle')")
		found = preflight(t, p.follower.Slot, leader, leader, nil)
		expect(t, found, "lag", platform.CheckStop, "does not answer as a follower")
	})
}

func TestIdentitiesDiffer(t *testing.T) {
	leader := map[string]string{"server_version_num": "150017", "max_connections": "540", "locale": "c C.UTF-8 2.36"}
	newer := map[string]string{"server_version_num": "150018", "max_connections": "540", "locale": "c C.UTF-8 2.36"}
	if c := compareIdentities(leader, newer); c.State != platform.CheckOK || !strings.Contains(c.Detail, "15.18 and 2 settings") {
		t.Errorf("a newer minor: %+v", c)
	}
	newer["locale"], newer["max_connections"] = "c C.UTF-8 2.41", "541"
	want := "locale is c C.UTF-8 2.36 on the leader and c C.UTF-8 2.41 on the follower; max_connections is 540 on the leader and 541"
	if c := compareIdentities(leader, newer); c.State != platform.CheckStop || !strings.Contains(c.Detail, want) {
		t.Errorf("two differences: %+v", c)
	}
}

func TestCompareVersions(t *testing.T) {
	for _, test := range []struct {
		leader, follower string
		stopped          bool
		word             string
	}{
		{"150018", "150018", false, ""}, {"150017", "150018", false, ""},
		{"150018", "150017", true, "the older 15.17"}, {"150018", "160002", true, "follower 16.2"},
	} {
		sentence, stopped := compareVersions(test.leader, test.follower)
		if stopped != test.stopped || !strings.Contains(sentence, test.word) {
			t.Errorf("leader %s, follower %s: %q, %v", test.leader, test.follower, sentence, stopped)
		}
	}
}
