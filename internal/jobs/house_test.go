package jobs_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/jobs"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/platformtest"
	"changeover/internal/platform/webhook"

	"github.com/jackc/pgx/v5/pgxpool"
)

const actor = "mei@example.com"

// house is a whole Changeover without its web: control database, engine, jobs.
type house struct {
	t       testing.TB
	control string // URL of the control database
	pool    *pgxpool.Pool
	engine  *platformtest.Platform
	sealer  *db.Sealer
	jobs    *jobs.Jobs
	hook    atomic.Pointer[workflow.Hook]
	app     platform.App

	deadline   time.Duration                 // of the switch; 30 s when zero
	patience   time.Duration                 // with long transactions and followers; the program's when zero
	warmFor    time.Duration                 // how long a switch warms the cache at most; the program's when zero
	clock      atomic.Int64                  // of the maintenances, in ns; the machine's while 0
	wrap       func(jobs.Engine) jobs.Engine // puts something between the jobs and the engine
	pgbouncer  string                        // the program; the installed one when empty
	ownControl bool                          // the control database is a cluster of the house's own
	durable    bool                          // the app's writers all wait for the disk: where a test kills a leader
	guarded    bool                          // a guardian watches over the pools in a switch
	quiet      bool                          // nothing is run here: a worker process does it
	scaled     bool                          // the app has the formation of these tests
	catalogue  func(*platform.Catalogue)     // changes what the plans hold; nil for as shipped
	hooks      *webhook.Sender               // sends webhooks; nil where a test has none
	receiver   string                        // where worker processes may send webhooks: host and port
	locks      string                        // an epoch file that a worker process holds when it sends itself its signal
	elects     bool                          // a worker process holds the engine, as the program does
}

func newHouse(t testing.TB, options ...func(*house)) *house {
	t.Helper()
	h := &house{t: t, pgbouncer: os.Getenv("CHANGEOVER_PGBOUNCER"), sealer: dbtest.Sealer(t)}
	for _, option := range options {
		option(h)
	}
	h.engine = platformtest.NewWith(t, h.pgbouncer)
	if h.ownControl {
		h.openControl()
	} else {
		h.control = dbtest.URL(t)
	}
	h.pool = dbtest.Open(t, h.control)
	if h.ownControl {
		if err := db.Migrate(t.Context(), h.pool); err != nil {
			t.Fatal(err)
		}
	}
	h.app = dbtest.App(t, h.pool, "sushi")
	h.open()
	t.Cleanup(h.close)
	return h
}

func withDeadline(d time.Duration) func(*house) { return func(h *house) { h.deadline = d } }

func withEngine(wrap func(jobs.Engine) jobs.Engine) func(*house) {
	return func(h *house) { h.wrap = wrap }
}

func withOwnControl(h *house) { h.ownControl = true }

func withoutRunner(h *house) { h.quiet = true }

// now is the clock of the maintenances.
func (h *house) now() time.Time {
	if ns := h.clock.Load(); ns != 0 {
		return time.Unix(0, ns).UTC()
	}
	return time.Now()
}

// setClock stops the clock of the maintenances at a time.
func (h *house) setClock(t time.Time) { h.clock.Store(t.UnixNano()) }

// open starts the jobs, as a start of the program does.
func (h *house) open() {
	h.t.Helper()
	var engine jobs.Engine = h.engine.Engine
	if h.wrap != nil {
		engine = h.wrap(engine)
	}
	var err error
	h.jobs, err = newJobs(h.pool, engine, h.sealer, h.deadline, func(when, what, step string) error {
		if hook := h.hook.Load(); hook != nil {
			return (*hook)(when, what, step)
		}
		return nil
	}, func(c *jobs.Config) {
		c.Now, c.SwitchPatience, c.FollowerPatience, c.WarmFor, c.Hooks = h.now, h.patience, h.patience, h.warmFor, h.hooks
		if h.guarded {
			c.Guard = guardBy(h.engine.Engine, h.engine.Home)
		}
		if h.catalogue != nil {
			h.catalogue(&c.Catalogue)
		}
	})
	if err != nil {
		h.t.Fatal(err)
	}
	if h.quiet {
		return
	}
	if err := h.jobs.Start(context.Background()); err != nil {
		h.t.Fatal(err)
	}
}

func newJobs(pool *pgxpool.Pool, engine jobs.Engine, sealer *db.Sealer, deadline time.Duration, hook workflow.Hook, options ...func(*jobs.Config)) (*jobs.Jobs, error) {
	catalogue, err := platform.ShippedCatalogue()
	if err != nil {
		return nil, err
	}
	level := slog.LevelError + 4
	if os.Getenv("CHANGEOVER_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	config := jobs.Config{Pool: pool, Engine: engine, Sealer: sealer, Catalogue: catalogue, SwitchDeadline: deadline, Hook: hook,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
	for _, option := range options {
		option(&config)
	}
	return jobs.New(config)
}

func (h *house) close() {
	if h.quiet || h.jobs == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := h.jobs.Stop(ctx); err != nil {
		h.t.Errorf("stop the jobs: %v", err)
	}
	h.jobs = nil
}

// setHook is called around every step from now on; nil for none.
func (h *house) setHook(hook workflow.Hook) {
	if hook == nil {
		h.hook.Store(nil)
		return
	}
	h.hook.Store(&hook)
}

// ended waits until an operation has ended, and fails unless it ended as wanted.
func (h *house) ended(op platform.Operation, err error, want platform.OperationState) platform.Operation {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	deadline := time.Now().Add(90 * time.Second)
	for {
		// Where the control database is restarted by the test, it does not always answer.
		now, err := db.OperationByID(h.t.Context(), h.pool, op.ID)
		if err == nil {
			op = now
		} else if platform.KindOf(err) != platform.KindUnavailable {
			h.t.Fatal(err)
		}
		if err == nil && !op.State.Open() {
			break
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%s is still %s after 90 s: %s\n%s", op.Kind, op.State, op.Reason, h.timeline(op))
		}
		time.Sleep(10 * time.Millisecond)
	}
	if want != "" && op.State != want {
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
	op, err := h.jobs.StartCreateFollower(h.t.Context(), actor, leader.ID, h.app.ID, plan, "")
	op = h.ended(op, err, platform.OperationCompleted)
	return h.database(op.DatabaseID)
}

// destroyed destroys a database.
func (h *house) destroyed(d platform.Database) {
	h.t.Helper()
	op, err := h.jobs.StartDestroy(h.t.Context(), actor, d.ID, h.app.Name)
	h.ended(op, err, platform.OperationCompleted)
}

// makeForkReady does what the monitor does for a fresh fork.
func (h *house) makeForkReady(d platform.Database) {
	h.t.Helper()
	if h.database(d.ID).ForkReady {
		return
	}
	if err := db.SetDatabaseForkReady(h.t.Context(), h.pool, d.ID, true); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) urlOf(id int64) string {
	h.t.Helper()
	url, err := db.DatabaseURL(h.t.Context(), h.pool, h.sealer, h.engine.Host(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return url
}
