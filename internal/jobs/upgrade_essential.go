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

// moveDeadline is how long an Essential database may refuse writes while it is
// copied, before everything is put back. The largest plan holds 32 GB.
const moveDeadline = time.Hour

// keepOldDatabase is how long the old database is kept closed.
const keepOldDatabase = 24 * time.Hour

// upgradeEssential copies an Essential database into a new one on another plan,
// at once: docs/upgrade-essential.md tells it under the same titles.
var upgradeEssential = []workflow.Step[*mover]{
	{Name: "check", Title: "Check before starting", About: "Size, connections, room on the disk", Do: (*mover).check},
	{Name: "choose_cluster", Title: "Choose a shared cluster", About: "One with room on the new plan", Do: (*mover).chooseCluster, Undo: (*mover).discard},
	{Name: "make_cluster", Title: "Make the cluster, where none has room", Do: (*mover).makeCluster},
	{Name: "maintenance_on", Title: "Turn maintenance mode on", About: "Where it was asked for", Do: (*mover).turnOnMaintenance, Undo: (*mover).turnOffMaintenance},
	{Name: "refuse_writes", Title: "Refuse writes", About: "One session locks every table and holds the snapshot", Downtime: true, Deadline: moveDeadline, Do: (*mover).refuseWrites, Undo: (*mover).takeWrites},
	{Name: "copy_data", Title: "Copy the data", About: "Tables, rows, indexes, with the app's rights", Downtime: true, Do: (*mover).copyData},
	{Name: "check_data", Title: "Check the copy", About: "Rows and sums of every table, on both sides", Downtime: true, Do: (*mover).checkData},
	{Name: "close_old", Title: "Close the old database", About: "Every session ends; nobody is let in any more", Downtime: true, Do: (*mover).closeOld},
	{Name: "point_config_vars", Title: "Point the config vars to the new one", About: "A new release, then a write through the new URL", Downtime: true, NoReturn: true, Do: (*mover).pointConfigVars},
	{Name: "maintenance_off", Title: "Turn maintenance mode off", About: "Unless it was on before", AppDown: true, Do: (*mover).turnOffMaintenance},
	{Name: "refresh_statistics", Title: "Refresh the statistics", About: "ANALYZE; the app does not wait for it", Do: (*mover).refreshStatistics},
}

// mover is the state of one attempt to move an Essential database. old and it are
// the same database of ours on two real ones.
type mover struct {
	*workflow.Attempt
	j           *Jobs
	move        db.DatabaseMove
	old, it     place
	credentials engine.Credentials // read before: letting writes through again asks nobody

	// What holds is known to this attempt alone: a later one begins at refusing.
	hold            *postgres.Hold
	copied, checked bool
}

func (j *Jobs) newMover(ctx context.Context, a *workflow.Attempt) (*mover, error) {
	m := &mover{Attempt: a, j: j}
	var err error
	if m.move, err = db.DatabaseMoveOf(ctx, j.Pool, a.Operation.ID); err != nil {
		return nil, err
	}
	d, err := db.DatabaseByID(ctx, j.Pool, a.Operation.DatabaseID)
	if err != nil {
		return nil, err
	}
	if m.credentials, err = j.credentials(ctx, d); err != nil {
		return nil, err
	}
	m.old = place{Database: d, Called: "the old database of " + d.Name}
	m.old.Database.DatabaseName = m.move.OldDatabaseName
	if m.old.Plan, err = j.Catalogue.Plan(m.move.FromPlan); err != nil {
		return nil, err
	}
	if m.old, err = j.on(ctx, j.Pool, m.old, m.move.OldServerID); err != nil {
		return nil, err
	}
	return m, m.findNew(ctx, d)
}

// findNew reads where the new database is.
func (m *mover) findNew(ctx context.Context, d platform.Database) (err error) {
	m.it = place{Database: d, Called: "the new database of " + d.Name}
	m.it.Database.DatabaseName = m.move.DatabaseName
	if m.it.Plan, err = m.j.Catalogue.Plan(m.move.Plan); err != nil || m.move.ServerID == nil {
		return err
	}
	m.it, err = m.j.on(ctx, m.j.Pool, m.it, *m.move.ServerID)
	return err
}

// close ends what only this attempt had: without its session writes go on, if the
// old database still takes any.
func (m *mover) close() {
	if m.hold != nil {
		m.hold.Release()
		m.hold = nil
	}
}

func (m *mover) check(ctx context.Context) error {
	facts, err := m.j.readFacts(ctx, m.old)
	if err != nil {
		return err
	}
	if err := m.j.Catalogue.UpgradePlan(m.old.Plan, m.it.Plan, facts.DataBytes, facts.Connections); err != nil {
		return err
	}
	if err := m.j.roomFor(m.old.Server.Zone, facts.DataBytes); err != nil {
		return err
	}
	expected, _, err := m.j.EstimateMove(ctx, facts.DataBytes)
	if err != nil {
		return err
	}
	m.Detail("%s to copy; writes are refused for about %s", platform.Bytes(facts.DataBytes), roughly(expected))
	return nil
}

// chooseCluster finds room on the new plan. The old database keeps its own room
// until it is dropped.
func (m *mover) chooseCluster(ctx context.Context) error {
	if !m.it.exists() {
		err := m.InTx(ctx, func(tx pgx.Tx) error {
			server, err := m.j.chooseCluster(ctx, tx, m.it.Database.Major, m.old.Server.Zone, m.it.Plan)
			if err != nil {
				return err
			}
			m.move.ServerID = &server.ID
			return db.SetMoveServer(ctx, tx, m.Operation.ID, &server.ID)
		})
		if err != nil {
			return err
		}
		if err := m.findNew(ctx, m.it.Database); err != nil {
			return err
		}
	}
	m.Detail("On port %d in zone %s", m.it.Server.Port, m.it.Server.Zone)
	return nil
}

func (m *mover) makeCluster(ctx context.Context) error {
	made, err := m.j.makeSharedCluster(ctx, m.it, m.InTx)
	if err == nil && made {
		m.Detail("PostgreSQL %d, checksums, TLS, for many databases", m.it.Server.Major)
	} else if err == nil {
		m.Detail("It is there")
	}
	return err
}

func (m *mover) turnOnMaintenance(ctx context.Context) error {
	if !m.move.Maintenance {
		m.Detail("It was not asked for")
		return nil
	}
	return turnOnMaintenance(ctx, m.Attempt, m.old.Database.AppID)
}

func (m *mover) turnOffMaintenance(ctx context.Context) error {
	return turnOffMaintenance(ctx, m.Attempt, m.old.Database.AppID)
}

// discard drops what was made of the new database. The role stays where the old
// database has it, too.
func (m *mover) discard(ctx context.Context) error {
	if m.it.exists() {
		p := m.it
		roles, err := m.rolesElsewhere(ctx, p.Server.ID)
		if err != nil {
			return err
		}
		if roles {
			p.Database.RoleName = ""
		}
		if err := m.j.leaveCluster(ctx, m.Epoch, p, m.InTx); err != nil {
			return err
		}
	}
	return m.InTx(ctx, func(tx pgx.Tx) error { return db.SetMoveServer(ctx, tx, m.Operation.ID, nil) })
}

// rolesElsewhere is whether another database of the same app's role is, or is
// kept, on the server beside the new one.
func (m *mover) rolesElsewhere(ctx context.Context, serverID int64) (bool, error) {
	if m.move.OldServerID == serverID {
		return true, nil
	}
	kept, err := db.KeptDatabasesOf(ctx, m.j.Pool, m.old.Database.ID)
	for _, k := range kept {
		if k.OldServerID == serverID {
			return true, err
		}
	}
	return false, err
}

func (m *mover) refreshStatistics(ctx context.Context) error {
	return m.j.withConn(ctx, m.it, func(conn *pgx.Conn) error {
		if err := postgres.Analyze(ctx, conn, 10*time.Minute); err != nil {
			m.Detail("ANALYZE did not finish: %v", err)
			return nil // the app works without
		}
		m.Detail("ANALYZE is done")
		return nil
	})
}

func (m *mover) ended(ctx context.Context, tx pgx.Tx, state platform.OperationState) error {
	d, name := m.old.Database, m.old.Database.Name
	op, err := db.OperationByID(ctx, tx, m.Operation.ID)
	if err != nil {
		return err
	}
	facts, err := db.ChangeoverOf(ctx, tx, m.Operation.ID)
	if err != nil {
		return err
	}
	switch {
	case state == platform.OperationCompleted:
		move, err := db.DatabaseMoveOf(ctx, tx, m.Operation.ID)
		if err != nil {
			return err
		}
		outage, kept := "was not measured", ""
		if facts.OutageMS != nil {
			outage = fmt.Sprintf("was %.0f ms", *facts.OutageMS)
		}
		if move.KeptUntil != nil {
			kept = fmt.Sprintf(" The old database is kept closed until %s and costs nothing; drop it earlier on the page of %s.", platform.MomentUTC(*move.KeptUntil), name)
		}
		return notify(ctx, tx, m.Attempt, platform.NoticeMaintenanceDone, "Completed: Upgrade of "+name,
			fmt.Sprintf("%s is on %s now, under the same name and attachments; its config vars point to the new database. The time in which writes were refused %s.\n\nProof. Every table was read on both sides while nobody could write, and rows and sums are equal.\n\nWhat to do. Nothing.%s",
				name, m.move.Plan, outage, kept), switchFigures(facts)...)
	case op.CancelRequestedBy != "":
		return notify(ctx, tx, m.Attempt, platform.NoticeMaintenanceCancelled, "Cancelled: Upgrade of "+name,
			fmt.Sprintf("The upgrade of %s was cancelled by %s. %s is on %s as before and takes writes; its config vars were not changed.\n\nWhat it means. What was copied is dropped; nothing was billed for it.", name, op.CancelRequestedBy, name, d.Plan))
	}
	return notify(ctx, tx, m.Attempt, platform.NoticeMaintenanceFailed, "Failed: Upgrade of "+name,
		fmt.Sprintf("The upgrade of %s was put back. It is on %s as before and takes writes; its config vars were not changed.\n\nWhy. %s\n\nWhat it means. What was copied is dropped; nothing was billed for it.\n\nWhat to do. When the reason is gone, start it again from the page of %s.", name, m.move.FromPlan, m.Reason(), name))
}
