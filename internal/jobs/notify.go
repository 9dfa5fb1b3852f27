package jobs

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"

	"github.com/jackc/pgx/v5"
)

// notify puts a notice about the attempt's operation into the feed.
func notify(ctx context.Context, tx pgx.Tx, a *workflow.Attempt, kind, level, subject, body string) error {
	_, err := db.CreateNotice(ctx, tx, db.NewNotice{Kind: kind, Level: level, Subject: subject, Body: body,
		DatabaseID: &a.Operation.DatabaseID, AppID: a.Operation.AppID, OperationID: &a.Operation.ID})
	return err
}
