package jobs_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/jobs"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5/pgxpool"
)

const actor = "mei@example.com"

// house is a whole Changeover without its web: control database, engine, jobs.
type house struct {
	t      testing.TB
	pool   *pgxpool.Pool
	engine *platformtest.Platform
	sealer *db.Sealer
	jobs   *jobs.Jobs
	hook   workflow.Hook
	app    platform.App
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, pool: dbtest.New(t), engine: platformtest.New(t), sealer: dbtest.Sealer(t)}
	h.app = dbtest.App(t, h.pool, "sushi")
	h.open()
	t.Cleanup(h.close)
	return h
}

// open starts the jobs, as a start of the program does.
func (h *house) open() {
	h.t.Helper()
	catalogue, err := platform.ShippedCatalogue()
	if err != nil {
		h.t.Fatal(err)
	}
	level := slog.LevelError + 4
	if os.Getenv("CHANGEOVER_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	h.jobs, err = jobs.New(jobs.Config{Pool: h.pool, Engine: h.engine.Engine, Sealer: h.sealer, Catalogue: catalogue,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
		Hook: func(when, what, step string) error {
			if h.hook == nil {
				return nil
			}
			return h.hook(when, what, step)
		}})
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.jobs.Start(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := h.jobs.Stop(ctx); err != nil {
		h.t.Errorf("stop the jobs: %v", err)
	}
}

// ended waits until an operation has ended, and fails unless it ended as wanted.
func (h *house) ended(op platform.Operation, err error, want platform.OperationState) platform.Operation {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	deadline := time.Now().Add(60 * time.Second)
	for {
		op, err = db.OperationByID(h.t.Context(), h.pool, op.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		if !op.State.Open() {
			break
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%s is still %s after 60 s: %s\n%s", op.Kind, op.State, op.Reason, h.timeline(op))
		}
		time.Sleep(10 * time.Millisecond)
	}
	if op.State != want {
		h.t.Fatalf("%s ended %s, want %s: %s\n%s", op.Kind, op.State, want, op.Reason, h.timeline(op))
	}
	return op
}

func (h *house) timeline(op platform.Operation) string {
	steps, err := db.OperationSteps(context.Background(), h.pool, op.ID)
	if err != nil {
		return err.Error()
	}
	text := ""
	for _, s := range steps {
		var took time.Duration
		if s.StartedAt != nil && s.FinishedAt != nil {
			took = s.FinishedAt.Sub(*s.StartedAt)
		}
		text += fmt.Sprintf("  %-24s %-8s %8.1f ms  %s\n", s.Name, s.State, float64(took.Microseconds())/1000, s.Detail)
	}
	return text
}

func (h *house) database(id int64) platform.Database {
	h.t.Helper()
	d, err := db.DatabaseByID(h.t.Context(), h.pool, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return d
}

func (h *house) leader(plan string) platform.Database {
	h.t.Helper()
	op, err := h.jobs.StartCreateDatabase(h.t.Context(), actor, h.app.ID, plan, h.engine.Installations()[0].Major)
	op = h.ended(op, err, platform.OperationCompleted)
	return h.database(op.DatabaseID)
}

func (h *house) follower(leader platform.Database, plan string) platform.Database {
	h.t.Helper()
	h.makeForkReady(leader)
	op, err := h.jobs.StartCreateFollower(h.t.Context(), actor, leader.ID, h.app.ID, plan)
	op = h.ended(op, err, platform.OperationCompleted)
	return h.database(op.DatabaseID)
}

// makeForkReady does what the monitor does for a fresh fork.
func (h *house) makeForkReady(d platform.Database) {
	h.t.Helper()
	if d.ForkReady {
		return
	}
	if err := db.SetDatabaseForkReady(h.t.Context(), h.pool, d.ID, true); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) url(id int64) string {
	h.t.Helper()
	url, err := db.DatabaseURL(h.t.Context(), h.pool, h.sealer, h.engine.Host(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return url
}
