package jobs

import (
	"context"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Reconcile looks once, as a running program does every two seconds.
func (j *Jobs) Reconcile(ctx context.Context) error { return j.reconcile(ctx) }

// TellRestarted is what a look at the servers tells, of a program that started then.
func (j *Jobs) TellRestarted(ctx context.Context, startedAt time.Time, running, stopped []int64) error {
	j.startedAt = startedAt
	return j.tellRestarted(ctx, running, stopped)
}

// MoveTogether moves those maintenances that which names, each time it is asked.
func (j *Jobs) MoveTogether(ctx context.Context, which func() []platform.Maintenance) error {
	return j.moveTogether(ctx, together{
		which:  func(db.Querier) ([]platform.Maintenance, error) { return which(), nil },
		moves:  func(platform.Maintenance) bool { return true },
		change: func(pgx.Tx) error { return nil },
	})
}

// BeginAgain is what the transaction writes that lets an upgrade wait again after
// its switch was put back.
func (j *Jobs) BeginAgain(ctx context.Context, op platform.Operation, m platform.Maintenance, reason string) error {
	attempt := &workflow.Attempt{Operation: op}
	u := &upgrader{switcher: &switcher{followerMaker: &followerMaker{databaseMaker: &databaseMaker{Attempt: attempt, j: j}}}, maintenance: m}
	return db.InTx(ctx, j.Pool, func(tx pgx.Tx) error { return u.beginAgain(ctx, tx, reason) })
}

// ProofWords and SwitchFigures are what the notice of a switch proves and counts.
var (
	ProofWords    = proofWords
	SwitchFigures = switchFigures
)
