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

// createEssential makes a database in a shared cluster, and the cluster where
// none has room.
var createEssential = []workflow.Step[*essentialMaker]{
	{Name: "choose_cluster", Title: "Choose a shared cluster", Do: (*essentialMaker).chooseCluster, Undo: (*essentialMaker).discard},
	{Name: "make_cluster", Title: "Make the cluster, where none has room", Do: (*essentialMaker).makeCluster},
	{Name: "make_database", Title: "Make the database and its role", Do: (*essentialMaker).makeDatabase},
	{Name: "attach", Title: "Set the config var", Do: (*essentialMaker).attach},
}

// essentialMaker makes a database in a shared cluster.
type essentialMaker struct{ *databaseMaker }

func (j *Jobs) newCreateEssential(ctx context.Context, a *workflow.Attempt) (*essentialMaker, error) {
	maker, err := j.newCreateDatabase(ctx, a)
	return &essentialMaker{maker}, err
}

func (m *essentialMaker) chooseCluster(ctx context.Context) error {
	if !m.it.exists() {
		zone := m.j.Engine.Zones()[0]
		if err := m.j.roomFor(zone, 64<<20); err != nil {
			return err
		}
		err := m.InTx(ctx, func(tx pgx.Tx) error {
			d := m.it.Database
			server, err := m.j.chooseCluster(ctx, tx, d.Major, zone, m.it.Plan)
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
		if m.it, err = m.j.place(ctx, m.j.Pool, m.it.Database.ID); err != nil {
			return err
		}
	}
	m.Detail("On port %d in zone %s", m.it.Server.Port, m.it.Server.Zone)
	return nil
}

// chooseCluster is the oldest shared cluster with room for one more database on
// the plan, or the row of a new one. Until tx ends nobody else chooses.
func (j *Jobs) chooseCluster(ctx context.Context, tx pgx.Tx, major int, zone string, plan platform.Plan) (platform.Server, error) {
	taken, err := db.TakenPorts(ctx, tx)
	if err != nil {
		return platform.Server{}, err
	}
	clusters, err := db.SharedClusters(ctx, tx, major, zone)
	if err != nil {
		return platform.Server{}, err
	}
	for _, c := range clusters {
		if j.Catalogue.HasRoom(c.Plans, plan) {
			return c.Server, nil
		}
	}
	port, err := j.Engine.FreePort(taken)
	if err != nil {
		return platform.Server{}, err
	}
	return db.CreateServer(ctx, tx, db.NewServer{Zone: zone, Port: port, Major: major, Plan: platform.SharedPlanName})
}

func (m *essentialMaker) makeCluster(ctx context.Context) error {
	made, err := m.j.makeSharedCluster(ctx, m.it, m.InTx)
	if err == nil && made {
		m.Detail("PostgreSQL %d, checksums, TLS, for many databases", m.it.Database.Major)
	} else if err == nil {
		m.Detail("It is there")
	}
	return err
}

// makeSharedCluster makes and starts the cluster of a place, where that is not
// done. It acts with an epoch of its own: the cluster is nobody's, and several
// operations may want the same one made at the same time.
func (j *Jobs) makeSharedCluster(ctx context.Context, p place, inTx func(context.Context, func(pgx.Tx) error) error) (made bool, err error) {
	server, err := db.ServerByID(ctx, j.Pool, p.Server.ID)
	if err != nil || server.State == platform.ServerRunning {
		return false, err
	}
	epoch, err := db.NextEpoch(ctx, j.Pool)
	if err != nil {
		return false, err
	}
	if err := j.Engine.CreateShared(ctx, epoch, p.Server); err != nil {
		return false, fmt.Errorf("make the shared cluster: %w", err)
	}
	if err := j.Engine.Start(ctx, epoch, p.Server); err != nil {
		return false, err
	}
	return true, inTx(ctx, func(tx pgx.Tx) error {
		return db.SetServerState(ctx, tx, p.Server.ID, platform.ServerRunning)
	})
}

func (m *essentialMaker) makeDatabase(ctx context.Context) error {
	credentials, err := m.j.credentials(ctx, m.it.Database)
	if err != nil {
		return err
	}
	if err := m.j.Engine.CreateDatabase(ctx, m.Epoch, m.it.Server, sharedDatabase(credentials, m.it.Plan)); err != nil {
		return err
	}
	m.Detail("At most %d connections, %s of data", m.it.Plan.Connections, platform.Bytes(m.it.Plan.StorageBytes))
	return nil
}

func sharedDatabase(c engine.Credentials, plan platform.Plan) engine.SharedDatabase {
	return engine.SharedDatabase{Credentials: c, Connections: plan.Connections, TempBytes: plan.TempBytes()}
}

// discard drops what was made of the database, and the cluster where it was
// never finished and nobody else waits for it. A finished one stays for the next.
func (m *essentialMaker) discard(ctx context.Context) error {
	if m.it.exists() {
		if err := m.j.leaveCluster(ctx, m.Epoch, m.it, m.InTx); err != nil {
			return err
		}
	}
	return m.InTx(ctx, func(tx pgx.Tx) error { return m.forget(ctx, tx) })
}

// leaveCluster takes a place's database out of its shared cluster.
func (j *Jobs) leaveCluster(ctx context.Context, epoch int64, p place, inTx func(context.Context, func(pgx.Tx) error) error) error {
	server, err := db.ServerByID(ctx, j.Pool, p.Server.ID)
	if err != nil {
		return err
	}
	if server.State == platform.ServerRunning {
		return j.Engine.DropDatabase(ctx, epoch, p.Server, p.Database.DatabaseName, p.Database.RoleName)
	}
	abandoned := false
	err = inTx(ctx, func(tx pgx.Tx) (err error) {
		abandoned, err = db.AbandonCluster(ctx, tx, p.Server.ID, p.Database.ID)
		return err
	})
	if err != nil || !abandoned {
		return err
	}
	if epoch, err = db.NextEpoch(ctx, j.Pool); err != nil {
		return err
	}
	if err := j.Engine.Destroy(ctx, epoch, p.Server); err != nil {
		return fmt.Errorf("remove the shared cluster: %w", err)
	}
	return inTx(ctx, func(tx pgx.Tx) error { return db.SetServerDestroyed(ctx, tx, p.Server.ID) })
}
