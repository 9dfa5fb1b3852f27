package jobs

import (
	"context"
	"time"

	"changeover/internal/db"

	"github.com/riverqueue/river"
)

const (
	// standardKeep is how long notices are kept unless a setting says otherwise.
	standardKeep = 365 * 24 * time.Hour
	sweepEvery   = 6 * time.Hour
	sweepAtOnce  = 1000
)

// sweepArgs say nothing: what is old is known when the job runs.
type sweepArgs struct{}

// Kind is River's name for the job.
func (sweepArgs) Kind() string { return "sweep_notices" }

type sweepWorker struct {
	river.WorkerDefaults[sweepArgs]
	jobs *Jobs
}

// Timeout bounds one sweep; the next one goes on.
func (*sweepWorker) Timeout(*river.Job[sweepArgs]) time.Duration { return time.Minute }

// Work forgets notices that were kept long enough, some at a time, with their
// marks, mails and deliveries.
func (w *sweepWorker) Work(ctx context.Context, _ *river.Job[sweepArgs]) error {
	for {
		n, err := db.DeleteOldNotices(ctx, w.jobs.Pool, w.jobs.Now().Add(-w.jobs.KeepNotices), sweepAtOnce)
		if err != nil || n < sweepAtOnce {
			return err
		}
	}
}

func sweepPeriodically() *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(sweepEvery), func() (river.JobArgs, *river.InsertOpts) { return sweepArgs{}, nil },
		&river.PeriodicJobOpts{RunOnStart: true})
}
