package jobs

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/postgres"

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
	f.Detail("No app has it in its config vars any more; its URL gets a new password")
	return f.InTx(ctx, func(tx pgx.Tx) error {
		d := f.it.Database
		// A process that never read its config vars again would otherwise write
		// here, unnoticed, as soon as it can.
		if err := db.SetDatabasePassword(ctx, tx, f.j.Sealer, d.ID, d.Name, platform.RandomToken(32)); err != nil {
			return err
		}
		return db.DetachAll(ctx, tx, d.ID, f.Operation.RequestedBy, &f.Operation.ID)
	})
}

// changePassword gives the role the password that detach has sealed, and ends
// whoever came in with the old one in the moment between.
func (f *fencer) changePassword(ctx context.Context) error {
	password, err := db.DatabasePassword(ctx, f.j.Pool, f.j.Sealer, f.it.Database.ID)
	if err != nil {
		return err
	}
	verifier, err := engine.Verifier(password)
	if err != nil {
		return err
	}
	return f.j.withConn(ctx, f.it, func(conn *pgx.Conn) error {
		return postgres.ChangePassword(ctx, conn, f.it.Database.RoleName, verifier)
	})
}

func (f *fencer) startSeparate(ctx context.Context) error {
	if err := f.startWritable(ctx); err != nil {
		return err
	}
	if err := f.changePassword(ctx); err != nil {
		return err
	}
	return f.InTx(ctx, func(tx pgx.Tx) error { return db.SetDatabaseSeparated(ctx, tx, f.it.Database.ID) })
}
