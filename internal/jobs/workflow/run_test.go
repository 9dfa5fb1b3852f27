package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// world is what the test procedure changes: switches that are on or off, and a
// log of what was done to them.
type world struct {
	on  map[string]bool
	log []string
}

type state struct {
	*workflow.Attempt
	w *world
}

func on(name string) func(*state, context.Context) error {
	return func(s *state, _ context.Context) error {
		if s.w.on[name] {
			return nil // look, then act
		}
		s.w.on[name] = true
		s.w.log = append(s.w.log, "+"+name)
		return nil
	}
}

func off(name string) func(*state, context.Context) error {
	return func(s *state, _ context.Context) error {
		if s.w.on[name] {
			delete(s.w.on, name)
			s.w.log = append(s.w.log, "-"+name)
		}
		return nil
	}
}

// switching has the shape of a changeover.
func switching() []workflow.Step[*state] {
	return []workflow.Step[*state]{
		{Name: "make", Do: on("make"), Undo: off("make")},
		{Name: "look", Do: func(*state, context.Context) error { return nil }},
		{Name: "fence", Downtime: true, Deadline: time.Second, Do: on("fence"), Undo: off("fence")},
		{Name: "drain", Downtime: true, Do: on("drain"), Undo: off("drain")},
		{Name: "promote", Downtime: true, NoReturn: true, Do: on("promote")},
		{Name: "route", Downtime: true, Do: on("route")},
		{Name: "tidy", Do: on("tidy")},
	}
}

func procedureIn(w *world, steps []workflow.Step[*state]) *workflow.Procedure[*state] {
	return &workflow.Procedure[*state]{Kind: "test", Steps: steps,
		New: func(_ context.Context, a *workflow.Attempt) (*state, error) { return &state{a, w}, nil },
		Ended: func(s *state, _ context.Context, _ pgx.Tx, end platform.OperationState) error {
			s.w.log = append(s.w.log, "ended "+string(end))
			return nil
		},
	}
}

func names(steps []workflow.Step[*state]) []string {
	var list []string
	for _, s := range steps {
		list = append(list, s.Name)
	}
	return list
}

var quiet = slog.New(slog.DiscardHandler)

func replace(steps []workflow.Step[*state], name string, do func(*state, context.Context) error) []workflow.Step[*state] {
	for i := range steps {
		if steps[i].Name == name {
			steps[i].Do = do
		}
	}
	return steps
}

func run(t *testing.T, m *memory, w *world, steps []workflow.Step[*state], hook workflow.Hook) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return procedureIn(w, steps).Run(ctx, m, 1, quiet, hook)
}

func TestRunsForwardAndRecordsOnlyThePointOfNoReturnInsideTheOutage(t *testing.T) {
	m, w := newMemory(names(switching())...), &world{on: map[string]bool{}}
	if err := run(t, m, w, switching(), nil); err != nil {
		t.Fatal(err)
	}
	if m.op.State != platform.OperationCompleted {
		t.Fatalf("state %s, history %v", m.op.State, m.history)
	}
	from, to := slices.Index(m.history, "fence=running"), slices.Index(m.history, "no return")
	if from < 0 || to < from {
		t.Fatalf("history %v", m.history)
	}
	// Between the start of the stretch and the point of no return there is one
	// save only: the one that carries the point of no return.
	saved := slices.Clone(m.history[from+1 : to])
	slices.Sort(saved)
	if want := []string{"drain=done", "fence=done", "promote=running"}; !slices.Equal(saved, want) {
		t.Errorf("recorded with the point of no return: %v, want %v", saved, want)
	}
	if last := m.history[to+1:]; slices.Contains(last, "route=running") {
		t.Errorf("route was recorded inside the outage: %v", last)
	}
}

func TestKilledBeforeAndAfterEachStepItEndsTheSame(t *testing.T) {
	want := []string{"drain", "fence", "make", "promote", "route", "tidy"}
	for _, step := range names(switching()) {
		for _, when := range []string{"before", "after"} {
			m, w := newMemory(names(switching())...), &world{on: map[string]bool{}}
			killed := false
			err := run(t, m, w, switching(), func(at, what, name string) error {
				if !killed && at == when && name == step {
					killed = true
					return errors.New("kill -9")
				}
				return nil
			})
			if err == nil || !killed {
				t.Fatalf("%s %s: was not killed: %v", when, step, err)
			}
			if err := run(t, m, w, switching(), nil); err != nil {
				t.Fatalf("%s %s: %v", when, step, err)
			}
			var got []string
			for name := range w.on {
				got = append(got, name)
			}
			slices.Sort(got)
			if m.op.State != platform.OperationCompleted || !slices.Equal(got, want) {
				t.Errorf("%s %s: %s, %v", when, step, m.op.State, got)
			}
			if n := strings.Count(strings.Join(w.log, " "), "+promote"); n != 1 {
				t.Errorf("%s %s: promoted %d times", when, step, n)
			}
		}
	}
}

func TestAbortUndoesInReverseAlsoWhenKilledWhileUndoing(t *testing.T) {
	for _, kill := range []string{"", "before fence", "after fence", "before make", "after make"} {
		steps := func() []workflow.Step[*state] {
			return replace(switching(), "drain", func(s *state, ctx context.Context) error {
				_ = on("drain")(s, ctx)
				return workflow.Abort("41 commits to go")
			})
		}
		m, w := newMemory(names(switching())...), &world{on: map[string]bool{}}
		hook := func(at, what, name string) error {
			if what == "undo" && kill == at+" "+name {
				kill = ""
				return errors.New("kill -9")
			}
			return nil
		}
		for i := 0; m.op.State.Open() && i < 3; i++ {
			_ = run(t, m, w, steps(), hook)
		}
		if m.op.State != platform.OperationUndone || len(w.on) != 0 {
			t.Fatalf("%q: %s, left %v, history %v", kill, m.op.State, w.on, m.history)
		}
		want := []string{"+make", "+fence", "+drain", "-drain", "-fence", "-make", "ended undone"}
		if !slices.Equal(w.log, want) {
			t.Errorf("%q: %v", kill, w.log)
		}
		if m.op.Reason != "41 commits to go" || m.steps[3].State != platform.StepFailed {
			t.Errorf("reason %q, drain is %s", m.op.Reason, m.steps[3].State)
		}
	}
}

func TestDeadlineOfTheStretchUndoes(t *testing.T) {
	steps := replace(switching(), "drain", func(*state, context.Context) error {
		return workflow.Wait(time.Millisecond, "0.6 MB behind")
	})
	m, w := newMemory(names(steps)...), &world{on: map[string]bool{}}
	began := time.Now()
	if err := run(t, m, w, steps, nil); err != nil {
		t.Fatal(err)
	}
	if m.op.State != platform.OperationUndone || !strings.Contains(m.op.Reason, "deadline of 1s passed: 0.6 MB behind") {
		t.Fatalf("%s %q", m.op.State, m.op.Reason)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("undone after %s", took)
	}
}

func TestDeadlineCountsFromTheFirstAttempt(t *testing.T) {
	steps := replace(switching(), "drain", func(*state, context.Context) error { return workflow.Wait(time.Millisecond, "behind") })
	m, w := newMemory(names(steps)...), &world{on: map[string]bool{"make": true, "fence": true}}
	long := time.Now().Add(-time.Minute)
	m.steps[0].State, m.steps[1].State = platform.StepDone, platform.StepDone
	m.steps[2].State, m.steps[2].StartedAt = platform.StepRunning, &long
	if err := run(t, m, w, steps, nil); err != nil {
		t.Fatal(err)
	}
	if m.op.State != platform.OperationUndone || w.on["fence"] {
		t.Fatalf("%s, %v", m.op.State, w.on)
	}
}

func TestAfterThePointOfNoReturnItOnlyGoesForward(t *testing.T) {
	tries := 0
	steps := replace(switching(), "route", func(s *state, ctx context.Context) error {
		if tries++; tries < 4 {
			return workflow.Abort("the route file cannot be written")
		}
		return on("route")(s, ctx)
	})
	m, w := newMemory(names(steps)...), &world{on: map[string]bool{}}
	shouted := false
	m.canceller = "" // a cancel that comes too late is refused by the control database; one that raced is ignored
	if err := run(t, m, w, steps, func(at, _, name string) error {
		m.mu.Lock()
		shouted = shouted || m.op.NeedsPerson
		if name == "route" {
			m.canceller = "mei@example.com"
		}
		m.mu.Unlock()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if m.op.State != platform.OperationCompleted || !shouted || m.op.NeedsPerson {
		t.Fatalf("%s, shouted %v, still needs a person %v", m.op.State, shouted, m.op.NeedsPerson)
	}
}

func TestCancelIsSeenWhileAStepWaits(t *testing.T) {
	steps := replace(switching(), "look", func(*state, context.Context) error { return workflow.Wait(5*time.Second, "3.2 MB behind") })
	m, w := newMemory(names(steps)...), &world{on: map[string]bool{}}
	m.canceller = "mei@example.com"
	began := time.Now()
	if err := run(t, m, w, steps, nil); err != nil {
		t.Fatal(err)
	}
	if m.op.State != platform.OperationUndone || m.op.Reason != "Cancelled by mei@example.com." || len(w.on) != 0 {
		t.Fatalf("%s %q %v", m.op.State, m.op.Reason, w.on)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("seen after %s", took)
	}
}

func TestKeptResultIsNotMadeAgain(t *testing.T) {
	steps := switching()
	steps[0].Undo = func(*state, context.Context) error { return workflow.Kept("it follows on") }
	steps = replace(steps, "drain", func(*state, context.Context) error { return workflow.Abort("no") })
	m, w := newMemory(names(steps)...), &world{on: map[string]bool{}}
	if err := run(t, m, w, steps, nil); err != nil {
		t.Fatal(err)
	}
	if m.steps[0].State != platform.StepKept || m.steps[0].Detail != "it follows on" || !w.on["make"] {
		t.Fatalf("%+v %v", m.steps[0], w.on)
	}
}

func TestOvertakenStopsAtOnceAndUndoesNothing(t *testing.T) {
	steps := replace(switching(), "drain", func(s *state, ctx context.Context) error {
		return fmt.Errorf("engine: %w", workflow.ErrOvertaken)
	})
	m, w := newMemory(names(steps)...), &world{on: map[string]bool{}}
	if err := run(t, m, w, steps, nil); !errors.Is(err, workflow.ErrOvertaken) {
		t.Fatal(err)
	}
	if !w.on["fence"] || m.op.State != platform.OperationRunning {
		t.Fatalf("%v %s", w.on, m.op.State)
	}
}

func TestControlDatabaseGoneBeforeThePointOfNoReturnLetsWritesThroughAndTriesAgain(t *testing.T) {
	m, w := newMemory(names(switching())...), &world{on: map[string]bool{}}
	gone := false
	err := run(t, m, w, replace(switching(), "drain", func(s *state, ctx context.Context) error {
		if !gone {
			gone = true
			m.breakConnection()
		}
		return on("drain")(s, ctx)
	}), nil)
	if err == nil {
		t.Fatal("it ended although nothing could be recorded")
	}
	if w.on["fence"] || w.on["promote"] {
		t.Fatalf("writes are still refused, or it was promoted unrecorded: %v", w.on)
	}
	m.back()
	if err := run(t, m, w, switching(), nil); err != nil {
		t.Fatal(err)
	}
	if m.op.State != platform.OperationCompleted || !w.on["fence"] || !w.on["promote"] {
		t.Fatalf("%s %v", m.op.State, w.on)
	}
}

func TestControlDatabaseGoneOutsideTheOutageEndsTheRun(t *testing.T) {
	m, w := newMemory(names(switching())...), &world{on: map[string]bool{}}
	err := run(t, m, w, replace(switching(), "look", func(_ *state, ctx context.Context) error {
		m.breakConnection()
		<-ctx.Done()
		return ctx.Err()
	}), nil)
	if err == nil || w.on["fence"] {
		t.Fatalf("%v %v", err, w.on)
	}
}

func TestAnotherVersionsStepsAreNotRun(t *testing.T) {
	m, w := newMemory("make", "look", "fence", "drain", "promote", "route", "tidy_up"), &world{on: map[string]bool{}}
	err := run(t, m, w, switching(), nil)
	if err == nil || !strings.Contains(err.Error(), `"tidy_up"`) || len(w.log) != 0 {
		t.Fatalf("%v %v", err, w.log)
	}
	if !strings.Contains(m.op.Reason, "another version of Changeover") {
		t.Errorf("reason %q", m.op.Reason)
	}
}

// What was started before a step existed goes on without it, if nothing needs that
// step; else it is left to the version that began it.
func TestOperationFromBeforeAStepExisted(t *testing.T) {
	before := names(switching())
	for name, c := range map[string]struct {
		optional bool
		stored   []string
		runs     bool
	}{
		"without an optional one": {true, before, true},
		"without a needed one":    {false, before, false},
		"with all":                {true, append([]string{"make", "new"}, before[1:]...), true},
		"in another order":        {true, append(append([]string{}, before[1:]...), "make"), false},
		"one twice":               {true, append(append([]string{}, before...), "make"), false},
	} {
		t.Run(name, func(t *testing.T) {
			ran := false
			steps := switching()
			added := workflow.Step[*state]{Name: "new", Title: "New", Optional: c.optional, Do: func(*state, context.Context) error { ran = true; return nil }}
			steps = append(append([]workflow.Step[*state]{steps[0]}, added), steps[1:]...)
			m, w := newMemory(c.stored...), &world{on: map[string]bool{}}
			err := run(t, m, w, steps, nil)
			if (err == nil) != c.runs || c.runs != (m.op.State == platform.OperationCompleted) {
				t.Errorf("%v, %s: %s", err, m.op.State, m.op.Reason)
			}
			if !c.runs && len(w.log) != 0 {
				t.Errorf("it did %v", w.log)
			}
			if has := slices.Contains(c.stored, "new"); ran != (c.runs && has) {
				t.Errorf("the new step ran: %t", ran)
			}
			for _, s := range m.steps {
				if c.runs && s.State != platform.StepDone {
					t.Errorf("%s is %s", s.Name, s.State)
				}
			}
		})
	}
}

func TestOneRunnerAtATime(t *testing.T) {
	m, w := newMemory(names(switching())...), &world{on: map[string]bool{}}
	if _, err := m.Acquire(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := run(t, m, w, switching(), nil); !errors.Is(err, workflow.ErrHeld) {
		t.Fatal(err)
	}
}
