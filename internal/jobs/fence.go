package jobs

import (
	"context"
	"fmt"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// fence makes a leader refuse every write, for certain: it is restarted in recovery.
var fence = []workflow.Step[*fencer]{
	{Name: "mark", Title: "Mark it as fenced", Do: (*fencer).mark, Undo: (*fencer).open},
	{Name: "stop", Title: "Stop the server", Do: (*fencer).stop},
	{Name: "start_in_recovery", Title: "Start it in recovery", Do: (*fencer).startInRecovery},
}

// unfence lets a fenced database write again, unless another one has replaced it.
var unfence = []workflow.Step[*fencer]{
	{Name: "check", Title: "Check that nothing has replaced it", Do: (*fencer).checkNotReplaced},
	{Name: "stop", Title: "Stop the server", Do: (*fencer).stop, Undo: (*fencer).backInRecovery},
	{Name: "start_writable", Title: "Start it writable", NoReturn: true, Do: (*fencer).open},
}

type fencer struct {
	*workflow.Attempt
	j  *Jobs
	it place
}

func (j *Jobs) newFencer(ctx context.Context, a *workflow.Attempt) (*fencer, error) {
	it, err := j.place(ctx, j.Pool, a.Operation.DatabaseID)
	return &fencer{a, j, it}, err
}

// setMark writes the engine's mark and the database's state.
func (f *fencer) setMark(ctx context.Context, fenced bool, state platform.ServerState) error {
	err := f.InTx(ctx, func(tx pgx.Tx) error {
		if err := markServer(ctx, tx, f.it, fenced, state); err != nil {
			return err
		}
		return db.SetDatabaseFenced(ctx, tx, f.it.Database.ID, fenced)
	})
	if err == nil {
		f.it.Server.Fenced = fenced
	}
	return err
}

func (f *fencer) mark(ctx context.Context) error {
	if err := f.setMark(ctx, true, platform.ServerStopped); err != nil {
		return err
	}
	f.Detail("It starts in recovery from now on, whoever starts it")
	return f.j.Engine.Fence(ctx, f.Epoch, f.it.Server)
}

func (f *fencer) stop(ctx context.Context) error {
	if err := f.j.Engine.Stop(ctx, f.Epoch, f.it.Server); err != nil {
		return err
	}
	f.Detail("No process of it is left")
	return nil
}

func (f *fencer) startInRecovery(ctx context.Context) error {
	if err := f.j.Engine.Start(ctx, f.Epoch, f.it.Server); err != nil {
		return err
	}
	err := f.j.withConn(ctx, f.it, func(conn *pgx.Conn) error {
		inRecovery, err := postgres.InRecovery(ctx, conn)
		if err == nil && !inRecovery {
			return fmt.Errorf("%s came up writable", f.it.Database.Name)
		}
		return err
	})
	if err != nil {
		return err
	}
	f.Detail("It can be read and refuses every write")
	return f.InTx(ctx, func(tx pgx.Tx) error {
		return db.SetServerState(ctx, tx, f.it.Server.ID, platform.ServerRunning)
	})
}

// open lets it write again, unless another database has replaced it.
func (f *fencer) open(ctx context.Context) error {
	if err := f.refuseReplaced(ctx); err != nil {
		return err
	}
	return f.startWritable(ctx)
}

// startWritable takes the file away, stops a server that runs in recovery, and
// starts it writable.
func (f *fencer) startWritable(ctx context.Context) error {
	status, err := f.j.Engine.Status(ctx, f.it.Server)
	if err != nil {
		return err
	}
	if status.Running && f.inRecovery(ctx) {
		if err := f.j.Engine.Stop(ctx, f.Epoch, f.it.Server); err != nil {
			return err
		}
	}
	if err := f.j.Engine.Unfence(ctx, f.Epoch, f.it.Server); err != nil {
		return err
	}
	f.it.Server.Fenced = false
	if err := f.j.Engine.Start(ctx, f.Epoch, f.it.Server); err != nil {
		return err
	}
	if f.inRecovery(ctx) {
		// Whoever keeps servers running may have started it by the old mark just now.
		return fmt.Errorf("%s came up in recovery", f.it.Database.Name)
	}
	f.Detail("It takes writes")
	return f.setMark(ctx, false, platform.ServerRunning)
}

// inRecovery is true also when the server does not answer: stopping it is then right.
func (f *fencer) inRecovery(ctx context.Context) bool {
	in := true
	_ = f.j.withConn(ctx, f.it, func(conn *pgx.Conn) error {
		var err error
		in, err = postgres.InRecovery(ctx, conn)
		return err
	})
	return in
}

func (f *fencer) backInRecovery(ctx context.Context) error {
	if err := f.j.Engine.Fence(ctx, f.Epoch, f.it.Server); err != nil {
		return err
	}
	return f.startInRecovery(ctx)
}

func (f *fencer) checkNotReplaced(ctx context.Context) error {
	if err := f.refuseReplaced(ctx); err != nil {
		return err
	}
	f.Detail("Nothing has")
	return nil
}

// refuseReplaced holds safety 1.6: a replaced leader never writes again under its name.
func (f *fencer) refuseReplaced(ctx context.Context) error {
	it, err := db.DatabaseByID(ctx, f.j.Pool, f.it.Database.ID)
	if err != nil {
		return err
	}
	return refuseReplaced(it)
}

func refuseReplaced(d platform.Database) error {
	if d.ReplacedByID != nil {
		return platform.Conflict("%s was replaced by another database, which has taken writes since. It cannot be unfenced: two leaders would drift apart. Destroy it, keep it for reading, or make it a separate fork.", d.Name)
	}
	return nil
}

// failedKind is the notice of an act that was put back.
func (f *fencer) failedKind() platform.NoticeKind {
	switch f.Operation.Kind {
	case platform.UnfenceDatabase:
		return platform.NoticeUnfenceFailed
	case platform.SeparateDatabase:
		return platform.NoticeSeparateFailed
	}
	return platform.NoticeFenceFailed
}

func (f *fencer) ended(ctx context.Context, tx pgx.Tx, state platform.OperationState) error {
	name, kind := f.it.Database.Name, f.Operation.Kind
	switch {
	case state == platform.OperationUndone:
		return notify(ctx, tx, f.Attempt, f.failedKind(), kind.Title()+" put back: "+name,
			fmt.Sprintf("%s is as it was before.\n\nWhy. %s", name, f.Reason()))
	case kind == platform.SeparateDatabase:
		return notify(ctx, tx, f.Attempt, platform.NoticeSeparated, "A separate fork: "+name,
			fmt.Sprintf("%s takes writes again as a database of its own. It is attached to no app, so no app finds it by its config vars, and it is billed as before.", name))
	case kind == platform.FenceDatabase:
		return notify(ctx, tx, f.Attempt, platform.NoticeFenced, "Fenced: "+name,
			fmt.Sprintf("%s refuses every write until it is unfenced. It can be read, and is billed as before.", name))
	}
	return notify(ctx, tx, f.Attempt, platform.NoticeUnfenced, "Unfenced: "+name, fmt.Sprintf("%s takes writes again.", name))
}
