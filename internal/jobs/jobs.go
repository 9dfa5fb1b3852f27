// Package jobs owns every procedure: what an operation of each kind does, step
// by step, and how it is started, run, reconciled and watched. It must not
// import the web or the views.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/mail"
	"changeover/internal/platform/webhook"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
)

// Config is what the procedures work with.
type Config struct {
	Pool      *pgxpool.Pool
	Engine    Engine
	Sealer    *db.Sealer
	Catalogue platform.Catalogue
	Log       *slog.Logger
	// Mailer sends mails.
	Mailer *mail.Sender
	// Hooks sends webhooks.
	Hooks *webhook.Sender
	// Link is the public address of a path, for mails and webhooks; nil: the path.
	Link func(path string) string
	// KeepNotices is how long a notice is kept; a year when zero.
	KeepNotices time.Duration
	// SwitchDeadline is how long writes may be refused before everything is put
	// back; 30 s when zero.
	SwitchDeadline time.Duration
	// Elect makes Start wait until no other process on the same control database
	// holds the engine, and then also watch the servers.
	Elect bool
	// Guard starts a guardian; nil: none watches over the connection pools.
	Guard func(Holding) (Guardian, error)
	// Now is the clock of the maintenances; time.Now when nil.
	Now func() time.Time
	// SwitchPatience is how long a maintenance waits for transactions that have
	// been open long, before its switch rolls them back; 10 min when zero.
	SwitchPatience time.Duration
	// FollowerPatience is how long a follower may take to stream from the new
	// server after a switch, before it is made anew; 2 min when zero.
	FollowerPatience time.Duration
	// WarmFor is how long a switch reads what is used most into memory at most.
	WarmFor time.Duration
	// Hook is called around every step; for tests that kill.
	Hook workflow.Hook
}

// Jobs starts and runs operations.
type Jobs struct {
	Config
	store      store
	river      *river.Client[pgx.Tx]
	procedures map[platform.OperationKind]procedure

	startedAt time.Time // when work started

	running  sync.WaitGroup // what work started
	aside    sync.Map       // the ids of operations that are run without River now
	starting sync.Map       // the ids of servers that are started now
	// fromBefore are the ids of the servers that were there when work started and
	// were not seen running since; nil before the first look. Only keepRunning has them.
	fromBefore []int64
	// surprises are the ids of servers that were found stopped although the program
	// has seen them running, or made them.
	surprises sync.Map
	holding   sync.WaitGroup // the wait for the engine
	stop      context.CancelFunc
	stopWork  context.CancelFunc
}

// procedure is a workflow.Procedure whatever its state.
type procedure interface {
	Run(ctx context.Context, store workflow.Store, operationID int64, log *slog.Logger, hook workflow.Hook) error
	Infos() []workflow.Info
}

// rescueAfter is when River takes a job that still runs for lost; operations
// have no timeout and are never taken so.
const rescueAfter = 5 * time.Minute

// restWithin is how long runners may take to come to rest; a stretch in which
// writes are refused is ended first.
const restWithin = 15 * time.Second

// New makes the procedures ready. It starts nothing.
func New(c Config) (*Jobs, error) {
	if c.SwitchDeadline == 0 {
		c.SwitchDeadline = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.SwitchPatience == 0 {
		c.SwitchPatience = 10 * time.Minute
	}
	if c.FollowerPatience == 0 {
		c.FollowerPatience = 2 * time.Minute
	}
	if c.WarmFor == 0 {
		c.WarmFor = 20 * time.Second
	}
	if c.KeepNotices == 0 {
		c.KeepNotices = standardKeep
	}
	j := &Jobs{Config: c, store: store{c.Pool}}
	j.procedures = j.allProcedures()
	workers := river.NewWorkers()
	if err := errors.Join(river.AddWorkerSafely(workers, &operationWorker{jobs: j}), river.AddWorkerSafely(workers, &mailWorker{jobs: j}),
		river.AddWorkerSafely(workers, &sweepWorker{jobs: j}), river.AddWorkerSafely(workers, &hookWorker{jobs: j, turns: turns{most: webhookOfOne, patience: webhookPatient}})); err != nil {
		return nil, fmt.Errorf("river: %w", err)
	}
	client, err := river.NewClient(riverpgxv5.New(c.Pool), &river.Config{
		Workers: workers,
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 100}, mailQueue: {MaxWorkers: mailAtOnce}, webhookQueue: {MaxWorkers: webhookAtOnce}},
		Logger:  slog.New(atLeastWarn{c.Log.Handler()}), // River tells of every few idle seconds
		// An operation takes as long as it takes; its steps have their own
		// deadlines. Reconcile, not River's rescue, notices a dead runner.
		JobTimeout: -1,
		// Mails and deliveries have a timeout. A run of one that a kill -9 ended is
		// taken up again when the program starts; this is for what that missed.
		RescueStuckJobsAfter: rescueAfter,
		PeriodicJobs:         []*river.PeriodicJob{sweepPeriodically()},
		RetryPolicy:          retrySoon{},
		FetchPollInterval:    250 * time.Millisecond,
		// REINDEX takes the owner of the table, and the program's role owns nothing.
		ReindexerIndexNames: []string{},
	})
	if err != nil {
		return nil, fmt.Errorf("river: %w", err)
	}
	j.river = client
	return j, nil
}

// atLeastWarn passes warnings and errors on.
type atLeastWarn struct{ slog.Handler }

func (h atLeastWarn) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (h atLeastWarn) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeastWarn{h.Handler.WithAttrs(attrs)}
}

func (h atLeastWarn) WithGroup(name string) slog.Handler {
	return atLeastWarn{h.Handler.WithGroup(name)}
}

// operationArgs hold the id and nothing else: facts live in the tables.
type operationArgs struct {
	OperationID int64 `json:"operation_id"`
}

// Kind is River's name for the job.
func (operationArgs) Kind() string { return "operation" }

// InsertOpts keeps a job from being given up: an operation is run until it ends.
func (operationArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 10000} }

// retrySoon retries soon: writes may be refused until it does.
type retrySoon struct{}

func (retrySoon) NextRetry(job *rivertype.JobRow) time.Time {
	return time.Now().Add(time.Duration(min(max(job.Attempt, 1), 10)) * 200 * time.Millisecond)
}

type operationWorker struct {
	river.WorkerDefaults[operationArgs]
	jobs *Jobs
}

// Work runs the operation until it ends or waits long.
func (w *operationWorker) Work(ctx context.Context, job *river.Job[operationArgs]) error {
	return w.run(ctx, job.Args.OperationID)
}

func (w *operationWorker) run(ctx context.Context, id int64) error {
	err := w.jobs.runOperation(ctx, id)
	var snooze *workflow.Snooze
	switch {
	case err == nil, errors.Is(err, workflow.ErrEnded), errors.Is(err, workflow.ErrHeld), errors.Is(err, workflow.ErrOvertaken):
		return nil
	case errors.As(err, &snooze):
		return river.JobSnooze(snooze.After)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	w.jobs.Log.Warn("an operation's run ended early; it is run again", "operation", id, "error", err)
	// River stores its jobs' errors; ours may quote a server, so it gets a pointer instead.
	return fmt.Errorf("operation %d ended early; see the log", id)
}

func (j *Jobs) runOperation(ctx context.Context, id int64) error {
	op, err := db.OperationByID(ctx, j.Pool, id)
	if err != nil {
		if platform.KindOf(err) == platform.KindNotFound {
			return nil
		}
		return err
	}
	p, ok := j.procedures[op.Kind]
	if !ok {
		return fmt.Errorf("this version of Changeover does not know operations of kind %q", op.Kind)
	}
	return p.Run(ctx, j.store, id, j.Log, j.Hook)
}

// Steps are the steps of a kind, in order, for pages and documentation.
func (j *Jobs) Steps(kind platform.OperationKind) []workflow.Info {
	if p, ok := j.procedures[kind]; ok {
		return p.Infos()
	}
	return nil
}

// Start begins to run operations: those that were open when the program died
// first. It returns at once; Stop ends it.
func (j *Jobs) Start(ctx context.Context) error {
	ctx, j.stop = context.WithCancel(context.WithoutCancel(ctx))
	if !j.Elect {
		return j.work(ctx)
	}
	j.holding.Go(func() { j.holdEngine(ctx) })
	return nil
}

// work starts the runners, what looks after them, and the monitor.
func (j *Jobs) work(ctx context.Context) error {
	if j.Elect { // whoever ran one is gone: this process is the one that runs jobs now
		if err := takeUp(ctx, j.Pool); err != nil {
			return fmt.Errorf("take up what was being sent: %w", err)
		}
	}
	if err := j.river.Start(ctx); err != nil {
		return fmt.Errorf("start river: %w", err)
	}
	ctx, j.stopWork = context.WithCancel(ctx)
	j.startedAt, j.fromBefore = time.Now(), nil
	j.running.Go(func() { j.every(ctx, "reconcile", j.reconcile) })
	j.running.Go(func() { j.every(ctx, "keep servers running", j.keepRunning) })
	j.running.Go(func() { j.every(ctx, "keep connection pools running", j.keepPools) })
	j.running.Go(func() { j.every(ctx, "tell of notices", j.tellNotices) })
	if j.Elect {
		j.running.Go(func() {
			NewMonitor(MonitorConfig{Pool: j.Pool, Engine: j.Engine, Log: j.Log, Catalogue: j.Catalogue}).Run(ctx)
		})
	}
	return nil
}

// rest ends what work started.
func (j *Jobs) rest() {
	ctx, cancel := context.WithTimeout(context.Background(), restWithin)
	defer cancel()
	if err := j.river.StopAndCancel(ctx); err != nil {
		j.Log.Warn("River did not stop in time", "error", err)
	}
	if j.stopWork != nil {
		j.stopWork()
	}
	j.running.Wait()
}

// Stop ends the runners between two actions, or at ctx. Their operations go on
// where they were when the program starts again.
func (j *Jobs) Stop(ctx context.Context) error {
	err := j.river.StopAndCancel(ctx)
	j.stop()
	if j.stopWork != nil {
		j.stopWork()
	}
	j.holding.Wait()
	j.running.Wait()
	return err
}
