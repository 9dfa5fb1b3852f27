package jobs

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Reconcile looks once, as a running program does every two seconds.
func (j *Jobs) Reconcile(ctx context.Context) error { return j.reconcile(ctx) }

// BeginAgain is what the transaction writes that lets an upgrade wait again after
// its switch was put back.
func (j *Jobs) BeginAgain(ctx context.Context, op platform.Operation, m platform.Maintenance, reason string) error {
	attempt := &workflow.Attempt{Operation: op}
	u := &upgrader{switcher: &switcher{followerMaker: &followerMaker{databaseMaker: &databaseMaker{Attempt: attempt, j: j}}}, maintenance: m}
	return db.InTx(ctx, j.Pool, func(tx pgx.Tx) error { return u.beginAgain(ctx, tx, reason) })
}
