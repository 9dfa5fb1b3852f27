package jobs

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// The steps in which an Essential database refuses writes. What was copied counts
// for as long as the session lives that keeps writes out: each step looks, and
// does again what was lost with an earlier session.

func (m *mover) refuseWrites(ctx context.Context) error {
	if m.hold != nil {
		if m.hold.Check(ctx) == nil {
			return nil
		}
		m.Log.Warn("the session that kept writes out is lost; what was copied does not count", "database", m.old.Database.Name)
	}
	m.close()
	m.copied, m.checked = false, false
	if err := m.j.revive(ctx, m.Epoch, m.old); err != nil {
		return err
	}
	conn, err := m.j.connect(ctx, m.old)
	if err != nil {
		return err
	}
	if m.hold, err = postgres.NewHold(ctx, conn, fmt.Sprintf("changeover: move of database %d", m.old.Database.ID)); err != nil {
		return err
	}
	since := m.hold.Since
	m.Detail("Since %s UTC; reading goes on", since.UTC().Format("15:04:05.000"))
	return m.InRelaxedTx(ctx, func(tx pgx.Tx) error {
		return db.SaveSwitch(ctx, tx, db.Changeover{OperationID: m.Operation.ID, RefusedAt: &since})
	})
}

// takeWrites opens the old database again.
func (m *mover) takeWrites(ctx context.Context) error {
	m.close()
	// First, since every session that begins before it is read-only, the engine's too.
	err := m.j.withConn(ctx, m.old, func(conn *pgx.Conn) error { return postgres.AllowChanges(ctx, conn) })
	if err != nil {
		return err
	}
	old := m.credentials
	old.DatabaseName = m.old.Database.DatabaseName
	return m.j.Engine.CreateDatabase(ctx, m.Epoch, m.old.Server, sharedDatabase(old, m.old.Plan))
}

func (m *mover) copyData(ctx context.Context) error {
	if err := m.refuseWrites(ctx); err != nil || m.copied {
		return err
	}
	facts, err := m.j.readFacts(ctx, m.old)
	if err != nil {
		return err
	}
	stop := m.watchCopy(ctx, facts.DataBytes)
	err = m.copyOnce(ctx)
	stop()
	if err != nil {
		return err
	}
	m.copied = true
	m.Detail("%s", platform.Bytes(facts.DataBytes))
	return m.InRelaxedTx(ctx, func(tx pgx.Tx) error { return db.SetMoveBytes(ctx, tx, m.Operation.ID, facts.DataBytes) })
}

// copyOnce makes the new database anew and fills it.
func (m *mover) copyOnce(ctx context.Context) error {
	to := m.credentials
	to.DatabaseName = m.it.Database.DatabaseName
	if err := m.j.Engine.EmptyDatabase(ctx, m.Epoch, m.it.Server, sharedDatabase(to, m.it.Plan)); err != nil {
		return err
	}
	err := m.j.Engine.CopyDatabase(ctx, m.Epoch, engine.DatabaseCopy{From: m.old.Server, To: m.it.Server, FromDatabase: m.old.Database.DatabaseName,
		Database: to.DatabaseName, RoleName: to.RoleName, Snapshot: m.hold.Snapshot})
	if err != nil && ctx.Err() == nil && m.hold.Check(ctx) == nil && !isStale(err) {
		// Whatever is in the database that cannot be copied will not be another time.
		return workflow.Abort("The data could not be copied: %v. Nothing was changed.", err)
	}
	return err
}

// watchCopy tells how far the copy is, from the new database's size.
func (m *mover) watchCopy(ctx context.Context, total int64) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(500 * time.Millisecond):
			}
			if facts, err := m.j.readFacts(ctx, m.it); err == nil {
				m.Detail("%s of %s", platform.Bytes(min(facts.DataBytes, total)), platform.Bytes(total))
			}
		}
	}()
	return func() { cancel(); <-done }
}

// checkData reads every row on both sides, while nobody can write to either.
func (m *mover) checkData(ctx context.Context) error {
	if err := m.copyData(ctx); err != nil || m.checked {
		return err
	}
	type read struct {
		contents postgres.Contents
		err      error
	}
	before := make(chan read, 1)
	go func() {
		contents, err := m.hold.Contents(ctx)
		before <- read{contents, err}
	}()
	var after postgres.Contents
	err := m.j.withConn(ctx, m.it, func(conn *pgx.Conn) (err error) {
		after, err = postgres.ReadContents(ctx, conn)
		return err
	})
	old := <-before
	if err != nil {
		return err
	}
	if old.err != nil {
		return old.err
	}
	if fact := old.contents.Differs(after); fact != "" {
		return workflow.Abort("The copy is not the same as the database: only one of them has “%s”. Nothing was changed.", fact)
	}
	m.checked = true
	m.Detail("%d facts are equal, rows and sums of every table among them", len(after))
	return nil
}

// closeOld ends every session of the old database and lets nobody in any more.
// The session that keeps writes out must have lived until then.
func (m *mover) closeOld(ctx context.Context) error {
	if err := m.checkData(ctx); err != nil {
		return err
	}
	err := m.j.withConn(ctx, m.old, func(from *pgx.Conn) error {
		return m.j.withConn(ctx, m.it, func(to *pgx.Conn) error {
			return postgres.CopySettings(ctx, from, to, m.old.Database.DatabaseName, m.it.Database.DatabaseName, m.old.Database.RoleName)
		})
	})
	if err != nil {
		return err
	}
	ended, err := m.j.Engine.CloseDatabase(ctx, m.Epoch, m.old.Server, m.old.Database.DatabaseName, m.old.Database.RoleName)
	if err != nil {
		return err
	}
	if err := m.hold.Check(ctx); err != nil {
		return err
	}
	m.Detail("%s ended; only the administrator gets in", counted(ended, "session"))
	return m.InRelaxedTx(ctx, func(tx pgx.Tx) error {
		return db.SaveSwitch(ctx, tx, db.Changeover{OperationID: m.Operation.ID, SessionsEnded: &ended})
	})
}

// pointConfigVars opens the new database and makes it the database. The old one
// is closed by then, whoever runs this.
func (m *mover) pointConfigVars(ctx context.Context) error {
	to := m.credentials
	to.DatabaseName = m.it.Database.DatabaseName
	if err := m.j.Engine.CreateDatabase(ctx, m.Epoch, m.it.Server, sharedDatabase(to, m.it.Plan)); err != nil {
		return err
	}
	var release int
	err := m.InTx(ctx, func(tx pgx.Tx) (err error) {
		d := m.old.Database
		if err := db.MoveDatabase(ctx, tx, m.move, m.j.Now().Add(keepOldDatabase)); err != nil {
			return err
		}
		if err := db.ChangeBilledPlan(ctx, tx, d.ID, m.it.Plan); err != nil {
			return err
		}
		release, err = db.ReleaseMoved(ctx, tx, d.ID, d.AppID, "Upgrade of "+d.Name, m.Operation.RequestedBy, m.Operation.ID)
		return err
	})
	if err != nil {
		return err
	}
	if release > 0 {
		m.Detail("Release v%d of %s", release, m.old.Database.AppName)
	}
	m.close()
	return m.measure(ctx, release)
}

// measure makes the first write as the app would, through the new URL, and notes
// how long none was taken.
func (m *mover) measure(ctx context.Context, release int) error {
	facts, err := db.ChangeoverOf(ctx, m.j.Pool, m.Operation.ID)
	if err != nil || facts.AcceptedAt != nil {
		return err
	}
	url, err := m.j.url(ctx, m.j.Pool, m.it)
	if err != nil {
		return err
	}
	if err := postgres.WriteAsApp(ctx, url); err != nil {
		return fmt.Errorf("the new database takes no write from the app: %w", err)
	}
	accepted := time.Now()
	known := db.Changeover{OperationID: m.Operation.ID, AcceptedAt: &accepted, ReleaseNumber: &release}
	if facts.RefusedAt != nil {
		known.OutageMS = milliseconds(accepted.Sub(*facts.RefusedAt))
	}
	return m.InTx(ctx, func(tx pgx.Tx) error { return db.SaveSwitch(ctx, tx, known) })
}
