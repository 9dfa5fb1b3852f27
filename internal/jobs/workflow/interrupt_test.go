package workflow_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
)

// Whatever ends the way forward while the control database is gone, an undo that
// cannot be recorded included, the writes are let through at once.
func TestFailureInTheOutageWithoutControlDatabaseLetsWritesThrough(t *testing.T) {
	for name, failure := range map[string]error{"abort": workflow.Abort("it cannot work"), "error": errors.New("it did not work")} {
		m, w := newMemory(names(switching())...), &world{on: map[string]bool{}}
		begin := time.Now()
		err := run(t, m, w, replace(switching(), "drain", func(*state, context.Context) error {
			m.breakConnection()
			return failure
		}), nil)
		if err == nil || w.on["fence"] || time.Since(begin) > 400*time.Millisecond {
			t.Fatalf("%s: %v after %s: %v", name, err, time.Since(begin), w.on)
		}
		m.back()
		if err := run(t, m, w, switching(), nil); err != nil || m.op.State != platform.OperationCompleted || !w.on["promote"] {
			t.Fatalf("%s: %v %s %v", name, err, m.op.State, w.on)
		}
	}
}

// The undo of a step that refuses writes does not wait for the control database.
func TestUndoOfTheOutageGoesOnWithoutControlDatabase(t *testing.T) {
	m, w := newMemory(names(switching())...), &world{on: map[string]bool{}}
	steps := replace(switching(), "drain", func(*state, context.Context) error { return workflow.Abort("no") })
	for i := range steps {
		if steps[i].Name == "fence" {
			steps[i].Undo = func(s *state, ctx context.Context) error {
				m.breakConnection()
				time.Sleep(20 * time.Millisecond) // time in which the loss would end ctx
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return off("fence")(s, ctx)
			}
		}
	}
	if err := run(t, m, w, steps, nil); err == nil || w.on["fence"] {
		t.Fatalf("%v %v", err, w.on)
	}
}

// A stop of the program between the point of no return and the end of the
// outage waits for that end.
func TestStopInTheOutageGoesOnToItsEnd(t *testing.T) {
	m, w := newMemory(names(switching())...), &world{on: map[string]bool{}}
	ctx, stop := context.WithCancel(t.Context())
	steps := replace(switching(), "promote", func(s *state, ctx context.Context) error {
		stop()
		if err := ctx.Err(); err != nil {
			return err
		}
		return on("promote")(s, ctx)
	})
	if err := procedureIn(w, steps).Run(ctx, m, 1, quiet, nil); err == nil {
		t.Fatal("it went on beyond the outage")
	}
	if !w.on["promote"] || !w.on["route"] || w.on["tidy"] {
		t.Fatalf("%v", w.on)
	}
	if err := run(t, m, w, switching(), nil); err != nil || m.op.State != platform.OperationCompleted {
		t.Fatalf("%v %s", err, m.op.State)
	}
}

// Before the point of no return a stop lets the writes through.
func TestStopBeforeThePointOfNoReturnLetsWritesThrough(t *testing.T) {
	m, w := newMemory(names(switching())...), &world{on: map[string]bool{}}
	ctx, stop := context.WithCancel(t.Context())
	steps := replace(switching(), "drain", func(_ *state, ctx context.Context) error { stop(); return ctx.Err() })
	if err := procedureIn(w, steps).Run(ctx, m, 1, quiet, nil); err == nil || w.on["fence"] {
		t.Fatalf("%v %v", err, w.on)
	}
}

// A cancel that was accepted is kept, also when it comes in the last moment
// before the point of no return.
func TestAcceptedCancelIsKept(t *testing.T) {
	for i, name := range names(switching())[:4] {
		m, w := newMemory(names(switching())...), &world{on: map[string]bool{}}
		err := run(t, m, w, switching(), func(when, what, step string) error {
			if when == "after" && step == name {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.canceller = "mei"
			}
			return nil
		})
		if err != nil || m.op.State != platform.OperationUndone || m.op.Reason != "Cancelled by mei." || len(w.on) != 0 {
			t.Fatalf("step %d %s: %v %s %q %v", i, name, err, m.op.State, m.op.Reason, w.on)
		}
		if slices.Contains(m.history, "no return") {
			t.Fatal("cancelled beyond the point of no return")
		}
	}
}
