package jobs

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"

	"github.com/jackc/pgx/v5"
)

// separate makes a database that another one has replaced a writable fork of
// its own. It is detached from every app first: nobody may find it under a name
// that once meant the leader.
var separate = []workflow.Step[*fencer]{
	{Name: "detach", Title: "Detach it from every app", NoReturn: true, Do: (*fencer).detach},
	{Name: "stop", Title: "Stop the server", Do: (*fencer).stop},
	{Name: "start_writable", Title: "Start it writable", Do: (*fencer).startSeparate},
}

func (f *fencer) detach(ctx context.Context) error {
	f.Detail("No app has it in its config vars any more")
	return f.InTx(ctx, func(tx pgx.Tx) error {
		return db.DetachAll(ctx, tx, f.it.Database.ID, f.Operation.RequestedBy, &f.Operation.ID)
	})
}

func (f *fencer) startSeparate(ctx context.Context) error {
	if err := f.startWritable(ctx); err != nil {
		return err
	}
	return f.InTx(ctx, func(tx pgx.Tx) error { return db.SetDatabaseSeparated(ctx, tx, f.it.Database.ID) })
}
