package jobs_test

import (
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

func TestReplacedLeaderIsNotUnfencedButMaySeparate(t *testing.T) {
	h := newHouse(t)
	leader := h.leader("standard-0")
	follower := h.follower(leader, "standard-0")
	op, err := h.jobs.StartChangeover(t.Context(), actor, jobs.Changeover{LeaderID: leader.ID, FollowerID: &follower.ID, ConfirmedJobs: true})
	h.ended(op, err, platform.OperationCompleted)

	if _, err := h.jobs.StartUnfence(t.Context(), actor, leader.ID, "sushi"); err == nil || !strings.Contains(err.Error(), "was replaced") {
		t.Fatalf("unfence of a replaced leader: %v", err)
	}
	if _, err := h.jobs.StartSeparate(t.Context(), actor, leader.ID, "suschi"); platform.KindOf(err) != platform.KindInvalid {
		t.Fatalf("a wrong confirmation: %v", err)
	}
	oldURL, err := db.DatabaseURL(t.Context(), h.pool, h.sealer, h.engine.Host(), leader.ID)
	if err != nil {
		t.Fatal(err)
	}
	op, err = h.jobs.StartSeparate(t.Context(), actor, leader.ID, "sushi")
	h.ended(op, err, platform.OperationCompleted)

	attached, err := db.AttachmentsOfDatabase(t.Context(), h.pool, leader.ID)
	if err != nil || len(attached) != 0 {
		t.Errorf("still attached: %v %v", attached, err)
	}
	fork := h.database(leader.ID)
	if fork.State != platform.DatabaseAvailable || fork.ReplacedByID != nil || fork.ForkedFromID == nil || *fork.ForkedFromID != follower.ID || fork.ForkReady {
		t.Errorf("%+v", fork)
	}
	if conn, err := pgx.Connect(t.Context(), oldURL); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the URL that apps knew still opens the fork")
	}
	newURL, err := db.DatabaseURL(t.Context(), h.pool, h.sealer, h.engine.Host(), leader.ID)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), newURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := postgres.WriteOnce(t.Context(), conn); err != nil {
		t.Errorf("the fork takes no write: %v", err)
	}
}
