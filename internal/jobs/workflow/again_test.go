package workflow_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// waiting has the shape of an upgrade: what comes before "wait" is kept when
// what comes after it fails.
func waiting() []workflow.Step[*state] {
	return []workflow.Step[*state]{
		{Name: "make", Do: on("make"), Undo: off("make")},
		{Name: "wait", Again: true, Do: func(*state, context.Context) error { return nil }},
		{Name: "ready", Do: on("ready"), Undo: off("ready")},
		{Name: "fence", Downtime: true, Deadline: time.Second, Do: on("fence"), Undo: off("fence")},
		{Name: "promote", Downtime: true, NoReturn: true, Do: on("promote")},
		{Name: "tidy", Do: on("tidy")},
	}
}

// failing makes the step fail until it was tried often enough.
func failing(times int, name string, err error) func(*state, context.Context) error {
	return func(s *state, ctx context.Context) error {
		if times > 0 {
			times--
			s.w.log = append(s.w.log, "!"+name)
			return err
		}
		return on(name)(s, ctx)
	}
}

// again runs until the operation ends, as River does, and counts the snoozes of
// an operation that begins again.
func again(t *testing.T, m *memory, w *world, steps []workflow.Step[*state], hook workflow.Hook) (begun int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p := procedureIn(w, steps)
	p.BeginsAgain = func(s *state, _ context.Context, _ pgx.Tx, reason string) error {
		s.w.log = append(s.w.log, "again: "+reason)
		return nil
	}
	for range 20 {
		err := p.Run(ctx, m, 1, quiet, hook)
		var snooze *workflow.Snooze
		switch {
		case err == nil:
			return begun
		case errors.As(err, &snooze):
			begun++
		}
	}
	t.Fatalf("it does not end: %v", m.history)
	return 0
}

func TestFailureAfterAnAgainStepTakesOnlyTheRestBack(t *testing.T) {
	m, w := newMemory(names(waiting())...), &world{on: map[string]bool{}}
	steps := replace(waiting(), "fence", failing(2, "fence", workflow.Abort("Too slow.")))
	if n := again(t, m, w, steps, nil); n != 2 || m.op.State != platform.OperationCompleted || m.op.UndoTo != nil || m.op.Reason != "" {
		t.Fatalf("begun again %d times: %+v", n, m.op)
	}
	want := []string{"+make", "+ready", "!fence", "-ready", "again: Too slow.", "+ready", "!fence", "-ready", "again: Too slow.", "+ready", "+fence", "+promote", "+tidy", "ended completed"}
	if !slices.Equal(w.log, want) {
		t.Errorf("%v, want %v", w.log, want)
	}
}

// Wherever it is killed on its way back, it neither forgets to begin again nor
// takes more back than it should.
func TestBeginningAgainOutlivesAKill(t *testing.T) {
	for _, at := range []string{"before undo fence", "after undo fence", "before undo ready", "after undo ready", "before do wait", "before do fence", "after do fence"} {
		m, w := newMemory(names(waiting())...), &world{on: map[string]bool{}}
		steps := replace(waiting(), "fence", failing(1, "fence", workflow.Abort("Too slow.")))
		killed := 0
		again(t, m, w, steps, func(when, what, step string) error {
			if when+" "+what+" "+step == at && killed == 0 {
				killed++
				return errors.New("killed")
			}
			return nil
		})
		made := 0
		for _, entry := range w.log {
			if entry == "+make" || entry == "-make" {
				made++
			}
		}
		if m.op.State != platform.OperationCompleted || made != 1 || killed != 1 || !w.on["tidy"] {
			t.Errorf("killed %s: %+v %v", at, m.op, w.log)
		}
	}
}

func TestCancelAndAbortAllTakeEverythingBack(t *testing.T) {
	m, w := newMemory(names(waiting())...), &world{on: map[string]bool{}}
	again(t, m, w, replace(waiting(), "fence", failing(1, "fence", workflow.AbortAll("It will never fit."))), nil)
	if m.op.State != platform.OperationUndone || len(w.on) != 0 || m.op.Reason != "It will never fit." {
		t.Errorf("%+v %v", m.op, w.log)
	}

	// A cancel that comes while it is put back as far as its Again step is kept.
	m, w = newMemory(names(waiting())...), &world{on: map[string]bool{}}
	again(t, m, w, replace(waiting(), "fence", failing(1, "fence", workflow.Abort("Too slow."))), func(when, what, step string) error {
		if when+" "+what+" "+step == "before undo ready" {
			m.mu.Lock()
			m.canceller = "mei"
			m.mu.Unlock()
		}
		return nil
	})
	if m.op.State != platform.OperationUndone || len(w.on) != 0 || m.op.Reason != "Cancelled by mei." {
		t.Errorf("%+v %v", m.op, w.log)
	}
}

// The deadline of the outage counts anew each time.
func TestDeadlineCountsAnewWhenItBeginsAgain(t *testing.T) {
	m, w := newMemory(names(waiting())...), &world{on: map[string]bool{}}
	slow := 1
	steps := replace(waiting(), "fence", func(s *state, ctx context.Context) error {
		if slow > 0 {
			slow--
			<-ctx.Done()
			return ctx.Err()
		}
		return on("fence")(s, ctx)
	})
	if n := again(t, m, w, steps, nil); n != 1 || m.op.State != platform.OperationCompleted {
		t.Errorf("begun again %d times: %+v %v", n, m.op, w.log)
	}
}

// Past the point of no return there is nothing to begin again.
func TestNothingBeginsAgainAfterThePointOfNoReturn(t *testing.T) {
	m, w := newMemory(names(waiting())...), &world{on: map[string]bool{}}
	if n := again(t, m, w, replace(waiting(), "tidy", failing(2, "tidy", workflow.Abort("No."))), nil); n != 0 || m.op.State != platform.OperationCompleted {
		t.Errorf("begun again %d times: %+v %v", n, m.op, w.log)
	}
}
