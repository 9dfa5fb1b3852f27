package jobs

import (
	"context"
	"fmt"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

// createDatabase makes a leader: a real cluster with the app's role in it.
var createDatabase = []workflow.Step[*databaseMaker]{
	{Name: "reserve_server", Title: "Reserve a port and a place on disk", Do: (*databaseMaker).reserveServer, Undo: (*databaseMaker).discard},
	{Name: "make_cluster", Title: "Make the cluster", Do: (*databaseMaker).makeCluster},
	{Name: "start_server", Title: "Start the server", Do: (*databaseMaker).startServer},
	{Name: "attach", Title: "Set the config var", Do: (*databaseMaker).attach},
}

// databaseMaker is what making a server has in common, for a leader and for a follower.
type databaseMaker struct {
	*workflow.Attempt
	j  *Jobs
	it place
}

func (j *Jobs) newCreateDatabase(ctx context.Context, a *workflow.Attempt) (*databaseMaker, error) {
	it, err := j.place(ctx, j.Pool, a.Operation.DatabaseID)
	return &databaseMaker{a, j, it}, err
}

// leastFree is what must stay free of a disk for an operation to start that
// fills it: 1 GB and 5 % (safety 4).
func leastFree(total int64) int64 { return max(1<<30, total/20) }

// roomFor is nil when need bytes more fit on the zone's disk.
func (j *Jobs) roomFor(zone string, need int64) error {
	free, total, err := j.Engine.Disk(zone)
	if err != nil {
		return err
	}
	if free-need < leastFree(total) {
		return platform.Conflict("The disk of zone %s has %s free; %s more would leave less than %s, which is kept free. Free some space or destroy a database that is no longer needed.",
			zone, platform.Bytes(free), platform.Bytes(need), platform.Bytes(leastFree(total)))
	}
	return nil
}

func (m *databaseMaker) reserveServer(ctx context.Context) error {
	return m.reserveIn(ctx, m.j.Engine.Zones()[0], 0)
}

// reserveIn takes a port for the server's whole life and notes where it will be.
func (m *databaseMaker) reserveIn(ctx context.Context, zone string, need int64) error {
	if m.it.exists() {
		m.Detail("Port %d in zone %s", m.it.Server.Port, m.it.Server.Zone)
		return nil
	}
	if err := m.j.roomFor(zone, need); err != nil {
		return err
	}
	err := m.InTx(ctx, func(tx pgx.Tx) error {
		taken, err := db.TakenPorts(ctx, tx)
		if err != nil {
			return err
		}
		port, err := m.j.Engine.FreePort(taken)
		if err != nil {
			return err
		}
		d := m.it.Database
		server, err := db.CreateServer(ctx, tx, db.NewServer{DatabaseID: d.ID, Zone: zone, Port: port, Major: d.Major, Plan: d.Plan})
		if err != nil {
			return err
		}
		if err := db.SetDatabaseServer(ctx, tx, d.ID, &server.ID); err != nil {
			return err
		}
		return db.SetDatabaseState(ctx, tx, d.ID, platform.DatabaseCreating)
	})
	if err != nil {
		return err
	}
	m.it, err = m.j.place(ctx, m.j.Pool, m.it.Database.ID)
	m.Detail("Port %d in zone %s", m.it.Server.Port, m.it.Server.Zone)
	return err
}

func (m *databaseMaker) makeCluster(ctx context.Context) error {
	credentials, err := m.j.credentials(ctx, m.it.Database)
	if err != nil {
		return err
	}
	if err := m.j.Engine.Create(ctx, m.Epoch, m.it.Server, credentials); err != nil {
		return fmt.Errorf("make the cluster: %w", err)
	}
	m.Detail("PostgreSQL %d, checksums, TLS", m.it.Database.Major)
	return nil
}

// credentials are those of the database's app, with a verifier in the password's place.
func (j *Jobs) credentials(ctx context.Context, d platform.Database) (engine.Credentials, error) {
	password, err := db.DatabasePassword(ctx, j.Pool, j.Sealer, d.ID)
	if err != nil {
		return engine.Credentials{}, err
	}
	verifier, err := engine.Verifier(password)
	return engine.Credentials{DatabaseName: d.DatabaseName, RoleName: d.RoleName, Verifier: verifier}, err
}

func (m *databaseMaker) startServer(ctx context.Context) error {
	if err := m.j.Engine.Start(ctx, m.Epoch, m.it.Server); err != nil {
		return err
	}
	m.Detail("It answers on port %d", m.it.Server.Port)
	return m.InTx(ctx, func(tx pgx.Tx) error {
		return db.SetServerState(ctx, tx, m.it.Server.ID, platform.ServerRunning)
	})
}

func (m *databaseMaker) attach(ctx context.Context) error { return m.attachAs(ctx, true) }

// attachAs gives the app a config var for it, begins the billing and makes it
// available. The first database of an app becomes its DATABASE_URL where
// firstIsPrimary is set; a follower never does.
func (m *databaseMaker) attachAs(ctx context.Context, firstIsPrimary bool) error {
	return m.InTx(ctx, func(tx pgx.Tx) error {
		d := m.it.Database
		attachment, err := db.Attach(ctx, tx, db.NewAttachment{AppID: d.AppID, DatabaseID: d.ID, FirstIsPrimary: firstIsPrimary, Actor: m.Operation.RequestedBy, OperationID: &m.Operation.ID})
		if err != nil {
			return err
		}
		m.Detail("%s of %s", attachment.ConfigVarName(), d.AppName)
		if err := db.StartBilling(ctx, tx, d.ID, m.it.Plan); err != nil {
			return err
		}
		return db.SetDatabaseState(ctx, tx, d.ID, platform.DatabaseAvailable)
	})
}

// discard removes all that was made: nothing half-made stays, whatever step failed.
func (m *databaseMaker) discard(ctx context.Context) error {
	if m.it.exists() {
		if err := m.j.Engine.Destroy(ctx, m.Epoch, m.it.Server); err != nil {
			return fmt.Errorf("remove the server: %w", err)
		}
	}
	return m.InTx(ctx, func(tx pgx.Tx) error { return m.forget(ctx, tx) })
}

// forget ends everything that names the database in the control database.
func (m *databaseMaker) forget(ctx context.Context, tx pgx.Tx) error {
	return forgetDatabase(ctx, tx, m.it, m.Operation.RequestedBy, &m.Operation.ID)
}

func (m *databaseMaker) ended(ctx context.Context, tx pgx.Tx, state platform.OperationState) error {
	d := m.it.Database
	if state == platform.OperationUndone {
		return notify(ctx, tx, m.Attempt, platform.NoticeCreateFailed, "Not created: "+d.Name,
			fmt.Sprintf("The database %s for %s was not created, and everything made for it was removed.\n\nWhy. %s\n\nWhat to do. Open the operation and try again when the reason is gone.", d.Name, d.AppName, m.Reason()))
	}
	return notify(ctx, tx, m.Attempt, platform.NoticeDatabaseCreated, "Created: "+d.Name,
		fmt.Sprintf("%s is available on %s, for %s. It costs %s.", d.Name, d.Plan, d.AppName, m.it.Plan.Price()))
}
