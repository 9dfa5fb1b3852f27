package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// enginePool is a pool in the engine's words, leading to the server that its
// database has now.
func (j *Jobs) enginePool(p db.Pool) (engine.Pool, error) {
	plan, err := j.Catalogue.Plan(p.Plan)
	if err != nil {
		return engine.Pool{}, err
	}
	e := engine.Pool{ID: p.ID, Port: p.Port, Size: plan.PoolSize(), Clients: plan.PoolClients(),
		Credentials: engine.Credentials{DatabaseName: p.DatabaseName, RoleName: p.RoleName, Verifier: p.Verifier}}
	if p.ServerPort != nil {
		e.ServerPort = *p.ServerPort
	}
	return e, nil
}

// AttachPool attaches a database to an app through a connection pool, which
// takes clients when it returns. Without a name it is DATABASE_CONNECTION_POOL.
// Errors are sentences: a name that is taken, a plan without pools, a machine
// without PgBouncer, a database that does not answer.
func (j *Jobs) AttachPool(ctx context.Context, actor string, appID, databaseID int64, name string) (platform.Attachment, error) {
	if name == "" {
		name = platform.PoolAttachment
	}
	verifier, err := j.poolVerifier(ctx, databaseID)
	if err != nil {
		return platform.Attachment{}, err
	}
	var made platform.Attachment
	err = db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
		taken, err := db.TakenPorts(ctx, tx)
		if err != nil {
			return err
		}
		port, err := j.Engine.FreePort(taken)
		if err != nil {
			return err
		}
		made, err = db.Attach(ctx, tx, db.NewAttachment{AppID: appID, DatabaseID: databaseID, Name: name, Actor: actor, Pool: &db.NewPool{Port: port, Verifier: verifier}})
		return err
	})
	if err != nil {
		return platform.Attachment{}, err
	}
	// It is tried again every two seconds; this once only saves that wait.
	if err := j.keepPool(ctx, *made.PoolID); err != nil {
		j.Log.Warn("a new connection pool does not start yet", "pool", *made.PoolID, "error", err)
	}
	return made, nil
}

// PoolRefusal says why a database cannot have a connection pool; nil when it can.
func (j *Jobs) PoolRefusal(d platform.Database) error {
	plan, err := j.Catalogue.Plan(d.Plan)
	if err != nil {
		return err
	}
	version, _ := j.Engine.Pooler()
	switch {
	case plan.Tier.IsShared:
		return platform.Conflict("%s is on %s, and connection pools come with Standard and higher plans. Copy it to one of those first.", d.Name, d.Plan)
	case version == "":
		return platform.Unavailable(nil, "No PgBouncer is installed on the machine of the databases, and connection pools run on it. Ask an administrator to install it.")
	case d.ServerID == nil || d.State == platform.DatabaseCreating:
		return platform.Conflict("%s is not there yet. Wait until it is available, then attach a connection pool.", d.Name)
	}
	return nil
}

// poolVerifier is the verifier of the app's role as the server has it: a pool
// that knows the same one needs no password.
func (j *Jobs) poolVerifier(ctx context.Context, databaseID int64) (verifier string, err error) {
	it, err := j.place(ctx, j.Pool, databaseID)
	if err != nil {
		return "", err
	}
	if err := j.PoolRefusal(it.Database); err != nil {
		return "", err
	}
	if err := j.Engine.LetPoolsIn(ctx, it.Server, it.Database.DatabaseName, it.Database.RoleName); err != nil {
		return "", err
	}
	err = j.withConn(ctx, it, func(conn *pgx.Conn) error {
		verifier, err = postgres.Verifier(ctx, conn, it.Database.RoleName)
		return err
	})
	if err != nil {
		return "", platform.Unavailable(err, "%s does not answer now, so no connection pool can be made for it. Try again when it does.", it.Database.Name)
	}
	return verifier, nil
}

// keepPools makes every pool what it should be: running, leading to the server
// of its database, its clients let through; and ends what was detached. A pool
// whose database an operation has claimed is that operation's: it is only
// started again when its PgBouncer died.
func (j *Jobs) keepPools(ctx context.Context) error {
	pools, err := db.Pools(ctx, j.Pool)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	free := make(chan struct{}, poolsAtOnce)
	for _, p := range pools {
		all.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			// One that hangs keeps neither the others waiting nor its lock for ever.
			bounded, cancel := context.WithTimeout(ctx, keepPoolWithin)
			defer cancel()
			if err := j.keepPool(bounded, p.ID); err != nil && !isStale(err) && ctx.Err() == nil {
				j.Log.Error("a connection pool is not as it should be; it is tried again", "pool", p.ID, "error", err)
			}
		})
	}
	all.Wait()
	return j.endRemovedPools(ctx)
}

// endRemovedPools ends pools that run although they are removed: a switch that
// knew one from before it was detached may have started it again.
func (j *Jobs) endRemovedPools(ctx context.Context) error {
	ids, err := j.Engine.Pools()
	if err != nil || len(ids) == 0 {
		return err
	}
	removed, err := db.RemovedPools(ctx, j.Pool, ids)
	if err != nil {
		return err
	}
	for _, id := range removed {
		epoch, err := db.NextEpoch(ctx, j.Pool)
		if err != nil {
			return err
		}
		if err := j.Engine.DestroyPool(ctx, epoch, id); err != nil && !isStale(err) {
			return fmt.Errorf("end connection pool %d, which was removed: %w", id, err)
		}
	}
	return nil
}

// keepPoolWithin is how long a look at one pool may take: longer than a PgBouncer
// that does not answer is given, and than a new one may take to start.
const keepPoolWithin = 15 * time.Second

// keepPool takes its epoch before it looks, so that an operation which claims
// the database afterwards has a higher one.
func (j *Jobs) keepPool(ctx context.Context, id int64) error {
	epoch, err := db.NextEpoch(ctx, j.Pool)
	if err != nil {
		return err
	}
	p, err := db.PoolByID(ctx, j.Pool, id)
	if err != nil {
		return err
	}
	if p.AttachmentID == nil {
		if err := j.Engine.DestroyPool(ctx, epoch, p.ID); err != nil {
			return fmt.Errorf("end connection pool %d: %w", p.ID, err)
		}
		return db.SetPoolRemoved(ctx, j.Pool, p.ID, j.Now())
	}
	e, err := j.enginePool(p)
	if err != nil || e.ServerPort == 0 {
		return err
	}
	if p.ClaimEpoch == nil {
		return j.Engine.StartPool(ctx, epoch, e)
	}
	status, err := j.Engine.PoolStatus(e)
	if err != nil || status.Running {
		return err
	}
	if status.ServerPort == 0 { // it was never started: there is no pause to respect
		return j.Engine.StartPool(ctx, *p.ClaimEpoch, e)
	}
	return j.Engine.RestartPool(ctx, *p.ClaimEpoch, e)
}
