package jobs_test

import (
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
)

// Many Essential databases in one cluster, each apart; what would concern the
// whole cluster is refused for one of them.
func TestEssentialDatabasesShareAServer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	first, second, third := h.leader("essential-0"), h.leader("essential-2"), h.leader("essential-1")
	if *first.ServerID != *second.ServerID || *first.ServerID != *third.ServerID {
		t.Fatalf("servers %d, %d, %d: not one", *first.ServerID, *second.ServerID, *third.ServerID)
	}
	for _, d := range []platform.Database{first, second, third} {
		if err := h.write(d); err != nil {
			t.Errorf("%s: %v", d.Plan, err)
		}
	}
	h.inOrder("with three databases in a cluster")

	_, fence := h.jobs.StartFence(ctx, actor, first.ID, h.app.Name)
	_, follow := h.jobs.StartCreateFollower(ctx, actor, first.ID, h.app.ID, "standard-0", "")
	_, changeover := h.jobs.StartChangeover(ctx, actor, jobs.Changeover{LeaderID: first.ID, Plan: "standard-0", ConfirmedJobs: true})
	for what, err := range map[string]error{"fence": fence, "follow": follow, "changeover": changeover} {
		if platform.KindOf(err) != platform.KindConflict || !strings.Contains(err.Error(), "Copy it to a Standard plan or higher first.") {
			t.Errorf("%s: %v; want a refusal that names the way", what, err)
		}
	}

	h.destroyed(second)
	h.inOrder("after one of three was destroyed")
	if err := h.write(third); err != nil {
		t.Errorf("its neighbour: %v", err)
	}
	server, err := db.ServerByID(ctx, h.pool, *first.ServerID)
	if err != nil || server.State != platform.ServerRunning || !server.Shared {
		t.Errorf("the cluster is %+v (%v)", server, err)
	}
}

// The limits of all databases in a cluster never exceed what it gives: the next
// one goes into another cluster.
func TestFullClusterGetsANeighbour(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	first := h.leader("essential-2")
	// Twelve essential-2 have 480 of 500 connections and 384 of 400 GB; the rest
	// of the twelve need no server to be counted.
	if _, err := h.pool.Exec(t.Context(), `insert into databases (name, app_id, plan, state, major, server_id, database_name, role_name, password_sealed)
		select 'postgresql-filler-' || n, app_id, plan, 'creating', major, server_id, 'x', 'x', '' from databases, generate_series(10001, 10011) n where id = $1`, first.ID); err != nil {
		t.Fatal(err)
	}
	small := h.leader("essential-0")
	if *small.ServerID != *first.ServerID {
		t.Error("essential-0 had room and went elsewhere")
	}
	large := h.leader("essential-2")
	if *large.ServerID == *first.ServerID {
		t.Error("essential-2 was put where it had no room")
	}
	if err := h.write(large); err != nil {
		t.Error(err)
	}
}
