package jobs_test

import (
	"testing"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"

	"log/slog"
)

// Two processes on one control database: one runs operations, the other takes
// over when it goes.
func TestSecondProcessTakesTheEngineOver(t *testing.T) {
	h := newHouse(t, withoutRunner)
	catalogue, err := platform.ShippedCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	open := func() *jobs.Jobs {
		j, err := jobs.New(jobs.Config{Pool: h.pool, Engine: h.engine.Engine, Sealer: h.sealer, Catalogue: catalogue, Log: slog.New(slog.DiscardHandler), Elect: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return j
	}
	holders := func() (n int) {
		if err := h.pool.QueryRow(t.Context(), `select count(*) from pg_locks where locktype = 'advisory' and classid = 25448 and objid = 0 and granted
			and database = (select oid from pg_database where datname = current_database())`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := open()
	second := open()
	h.jobs = second
	defer func() { h.jobs = nil }()
	op, err := second.StartCreateDatabase(t.Context(), actor, h.app.ID, "standard-0", h.engine.Installations()[0].Major)
	op = h.ended(op, err, platform.OperationCompleted)
	if n := holders(); n != 1 {
		t.Fatalf("%d processes hold the engine", n)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	op, err = second.StartFence(t.Context(), actor, op.DatabaseID, "sushi")
	op = h.ended(op, err, platform.OperationCompleted)
	if d, err := db.DatabaseByID(t.Context(), h.pool, op.DatabaseID); err != nil || d.State != platform.DatabaseFenced {
		t.Errorf("%+v %v", d, err)
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}
