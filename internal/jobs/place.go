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

// place is a database together with a server of it: the one that it is now, or
// one that is to take that one's place.
type place struct {
	Database platform.Database
	Server   engine.Server        // ID 0 before one exists
	State    platform.ServerState // of the server
	Plan     platform.Plan
	// Called is how sentences name it where the database's name could mean two servers.
	Called string
}

// name is how sentences name the place.
func (p place) name() string {
	if p.Called != "" {
		return p.Called
	}
	return p.Database.Name
}

func (p place) exists() bool { return p.Server.ID != 0 }

// slot is the replication slot through which the place's server streams from its leader.
func (p place) slot() string { return slotName(p.Server.ID) }

// slotPrefix begins the name of every slot that a follower of ours streams through.
const slotPrefix = "follower_"

func slotName(serverID int64) string { return fmt.Sprintf("%s%d", slotPrefix, serverID) }

// place reads a database and its server from the control database.
func (j *Jobs) place(ctx context.Context, q db.Querier, databaseID int64) (place, error) {
	database, err := db.DatabaseByID(ctx, q, databaseID)
	if err != nil {
		return place{}, err
	}
	p := place{Database: database}
	p.Plan, err = j.Catalogue.Plan(database.Plan)
	if err != nil {
		return place{}, err
	}
	if database.ServerID == nil {
		return p, nil
	}
	return j.on(ctx, q, p, *database.ServerID)
}

// on is the place on that server.
func (j *Jobs) on(ctx context.Context, q db.Querier, p place, serverID int64) (place, error) {
	server, err := db.ServerByID(ctx, q, serverID)
	if err != nil {
		return place{}, err
	}
	p.Server, err = j.engineServer(server)
	p.State = server.State
	return p, err
}

// engineServer is a server in the engine's words.
func (j *Jobs) engineServer(s platform.Server) (engine.Server, error) {
	if s.Shared {
		return engine.Server{ID: s.ID, Zone: s.Zone, Port: s.Port, Major: s.Major, Plan: j.Catalogue.Shared, Shared: true}, nil
	}
	plan, err := j.Catalogue.Plan(s.Plan)
	if err != nil {
		return engine.Server{}, err
	}
	return engine.Server{ID: s.ID, Zone: s.Zone, Port: s.Port, Major: s.Major, Plan: plan, Fenced: s.Fenced}, nil
}

// connect opens an admin connection to the place's own database.
func (j *Jobs) connect(ctx context.Context, p place) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, j.Engine.Admin(p.Server, p.Database.DatabaseName))
	if err != nil {
		return nil, fmt.Errorf("%s does not answer: %w", p.name(), err)
	}
	return conn, nil
}

// revive starts a server that should run and does not, for an operation that
// has claimed it or cannot go on without it.
func (j *Jobs) revive(ctx context.Context, epoch int64, p place) error {
	status, err := j.Engine.Status(ctx, p.Server)
	if err != nil || status.Running || !status.Exists || p.State != platform.ServerRunning {
		return err
	}
	j.Log.Warn("a server that an operation needs has ended and is started", "server", p.Server.ID)
	return j.Engine.Start(ctx, epoch, p.Server)
}

// withConn runs fn on an admin connection to the place's database.
func (j *Jobs) withConn(ctx context.Context, p place, fn func(*pgx.Conn) error) error {
	conn, err := j.connect(ctx, p)
	if err != nil {
		return err
	}
	defer closeSoon(conn)
	return fn(conn)
}

// url is the database's URL on the place's server, password included.
func (j *Jobs) url(ctx context.Context, q db.Querier, p place) (string, error) {
	return db.ServerURL(ctx, q, j.Sealer, j.Engine.Host(), p.Database.ID, p.Server.ID)
}

// markServer writes the engine's fenced mark and what the engine is to make true.
func markServer(ctx context.Context, tx pgx.Tx, p place, fenced bool, state platform.ServerState) error {
	if err := db.SetServerFenced(ctx, tx, p.Server.ID, fenced); err != nil {
		return err
	}
	return db.SetServerState(ctx, tx, p.Server.ID, state)
}

// forgetDatabase ends everything that names a database in the control database.
func forgetDatabase(ctx context.Context, tx pgx.Tx, p place, actor string, operationID *int64) error {
	if err := db.DetachAll(ctx, tx, p.Database.ID, actor, operationID); err != nil {
		return err
	}
	if err := db.StopBilling(ctx, tx, p.Database.ID); err != nil {
		return err
	}
	servers, err := db.ServersOf(ctx, tx, p.Database.ID)
	if err != nil {
		return err
	}
	for _, s := range servers { // one that is kept for switching back, too
		if err := db.SetServerDestroyed(ctx, tx, s.ID); err != nil {
			return err
		}
	}
	return db.SetDatabaseDestroyed(ctx, tx, p.Database.ID)
}

// procedureOf makes a procedure of its steps; all share how errors of the engine are read.
func procedureOf[S any](kind platform.OperationKind, steps []workflow.Step[S], make func(context.Context, *workflow.Attempt) (S, error),
	close func(S), ended func(S, context.Context, pgx.Tx, platform.OperationState) error) *typedProcedure[S] {
	return &typedProcedure[S]{workflow.Procedure[S]{Kind: kind, Steps: steps, New: make, Close: close, Ended: ended, IsOvertaken: isStale}}
}

// beginningAgain lets a procedure with an Again step say what is true when it does.
func beginningAgain[S any](p *typedProcedure[S], again func(S, context.Context, pgx.Tx, string) error) *typedProcedure[S] {
	p.BeginsAgain = again
	return p
}

type typedProcedure[S any] struct{ workflow.Procedure[S] }

// Infos are the procedure's steps for pages and documentation.
func (p *typedProcedure[S]) Infos() []workflow.Info { return workflow.Infos(p.Steps) }
