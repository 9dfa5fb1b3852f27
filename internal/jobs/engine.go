package jobs

import (
	"context"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/pool"

	"github.com/jackc/pgx/v5"
)

// Engine is what the procedures need of whatever makes and destroys servers.
// Every method with an outside effect takes the attempt's epoch first, returns
// engine.ErrStaleEpoch when a newer attempt has acted on the server, looks
// before it acts, and is harmless to run again.
type Engine interface {
	// Installations are the PostgreSQL majors found, newest first.
	Installations() []engine.Installation
	// Zones are the names of the places a server can be in.
	Zones() []string
	// Disk is how many bytes are free and there in all where the zone's data lives.
	Disk(zone string) (free, total int64, err error)
	// FreePort is a port that can be bound now and is not in taken.
	FreePort(taken map[int]bool) (int, error)

	// Create makes an empty cluster with the app's role and database in it, stopped.
	Create(ctx context.Context, epoch int64, s engine.Server, c engine.Credentials) error
	// CreateShared makes an empty shared cluster, stopped.
	CreateShared(ctx context.Context, epoch int64, s engine.Server) error
	// CreateDatabase makes a database and its role in the running shared cluster s,
	// apart from every other one there, and returns when the role is let in.
	CreateDatabase(ctx context.Context, epoch int64, s engine.Server, d engine.SharedDatabase) error
	// DropDatabase removes a database of the shared cluster s, and its role unless
	// that is "". An epoch counts for this database, not for its neighbours.
	DropDatabase(ctx context.Context, epoch int64, s engine.Server, databaseName, roleName string) error
	// EmptyDatabase makes a database of the running shared cluster s anew, empty,
	// and its role where that is missing. Nobody is let in before CreateDatabase.
	EmptyDatabase(ctx context.Context, epoch int64, s engine.Server, d engine.SharedDatabase) error
	// CopyDatabase copies a database into one that EmptyDatabase has made, with the
	// app's rights there, and returns when all is in it.
	CopyDatabase(ctx context.Context, epoch int64, c engine.DatabaseCopy) error
	// CloseDatabase lets nobody but the administrator into a database of the shared
	// cluster s any more, ends who is in it, and returns when that is certain.
	// CreateDatabase lets the role in again. ended is how many sessions there were.
	CloseDatabase(ctx context.Context, epoch int64, s engine.Server, databaseName, roleName string) (ended int, err error)
	// Copy starts, or finds running, a base backup of from into s, streaming
	// through slot. It returns at once; CopyProgress tells the rest.
	Copy(ctx context.Context, epoch int64, s, from engine.Server, slot string) error
	CopyProgress(ctx context.Context, s engine.Server) (engine.Progress, error)
	// Follow writes standby.signal and primary_conninfo: s, stopped or running,
	// streams from leader through slot after its next start (a running one is restarted).
	Follow(ctx context.Context, epoch int64, s, leader engine.Server, slot string) error
	// Start starts s (in recovery, if the mark or the file says so) and returns
	// when it answers, else an *engine.StartError.
	Start(ctx context.Context, epoch int64, s engine.Server) error
	// Stop stops s fast and completely: no process of it is left.
	Stop(ctx context.Context, epoch int64, s engine.Server) error

	// Fence writes the file that makes every later start a start in recovery,
	// without a leader to stream from, and syncs it. It does not stop s.
	Fence(ctx context.Context, epoch int64, s engine.Server) error
	// PrepareStop opens the connection that StopForSwitch asks its one question
	// on: call it before the outage, which is a few ms shorter then. It changes nothing.
	PrepareStop(ctx context.Context, s engine.Server) error
	// StopForSwitch ends every walsender but that of keepSlot (the candidate's
	// slot on s: a frozen other follower must not hold the stop), sends the fast
	// stop and returns as soon as the control file says "shut down", while the
	// last processes may still be sending WAL. proof waits for pg_controldata's own
	// word, which is under way then: call it before the point of no return.
	StopForSwitch(ctx context.Context, epoch int64, s engine.Server, keepSlot string) (control engine.ControlData, proof engine.Proof, err error)
	// TakeOver makes epoch the newest of servers and pools: no older attempt acts
	// on them from then on. One that is not there is left out.
	TakeOver(ctx context.Context, epoch int64, servers []engine.Server, pools []engine.Pool) error
	// EndAll ends whatever is left of a stopped server and proves it gone.
	EndAll(ctx context.Context, epoch int64, s engine.Server) error
	// Kill is the fence for a sick server: SIGKILL to every process of the
	// directory, proven gone, then the file. An error means: do not promote.
	Kill(ctx context.Context, epoch int64, s engine.Server) error
	// Unfence removes the file; the next Start is writable.
	Unfence(ctx context.Context, epoch int64, s engine.Server) error
	// Promote asks s to leave recovery and returns at once.
	Promote(ctx context.Context, epoch int64, s engine.Server) error
	// WithdrawPromotion makes sure that no promotion of s is under way or will
	// happen: true when s is proven in recovery, false when it already left it.
	WithdrawPromotion(ctx context.Context, epoch int64, s engine.Server) (inRecovery bool, err error)
	// EndOfWAL reads the end of the last record in a stopped server's directory.
	EndOfWAL(ctx context.Context, s engine.Server, from engine.ControlData) (platform.LSN, error)
	// Destroy stops s and removes its files. A shared cluster that holds a database
	// is Conflict; what else would stop, fence or promote one always is.
	Destroy(ctx context.Context, epoch int64, s engine.Server) error

	// Pooler is the version of the PgBouncer that pools run on, "" without one, and
	// whether it keeps track of prepared statements.
	Pooler() (version string, prepared bool)
	// LetPoolsIn lets the pools of a server in, where its files are from before there were any.
	LetPoolsIn(ctx context.Context, s engine.Server, database, role string) error
	// StartPool makes a pool as it is described: files, a running PgBouncer that
	// has read them, clients let through.
	StartPool(ctx context.Context, epoch int64, p engine.Pool) error
	// RestartPool starts a pool whose PgBouncer died, with the files that it has.
	RestartPool(ctx context.Context, epoch int64, p engine.Pool) error
	// PausePool makes a pool's clients wait and returns when none of its
	// transactions is open; pool.ErrBusy after limit, and they go on then.
	PausePool(ctx context.Context, epoch int64, p engine.Pool, limit time.Duration) error
	// RoutePool makes a pool lead to p.ServerPort and lets its clients go on.
	RoutePool(ctx context.Context, epoch int64, p engine.Pool) error
	// PoolBackends are the processes, on the server, of a pool's open transactions.
	PoolBackends(ctx context.Context, p engine.Pool) ([]int32, error)
	// UsePool is what goes on in a pool now.
	UsePool(ctx context.Context, p engine.Pool) (pool.Use, error)
	PoolStatus(p engine.Pool) (engine.PoolStatus, error)
	// Pools are the ids of the pools that have files.
	Pools() ([]int64, error)
	// DestroyPool ends a pool and removes its files.
	DestroyPool(ctx context.Context, epoch int64, id int64) error

	// WorthWarming chooses what of the relations is worth reading into the machine's
	// memory for s, the most used first. total is how large all is that is used.
	WorthWarming(s engine.Server, relations []platform.Relation) (parts []platform.RelationPart, total int64, err error)
	// ReadPart reads a part of a relation from s's own files, so that the machine has
	// it in memory, and returns how much that was. Nothing else of s changes.
	ReadPart(ctx context.Context, s engine.Server, part platform.RelationPart) (int64, error)

	// Status looks at s from outside, without connecting.
	Status(ctx context.Context, s engine.Server) (engine.Status, error)
	// Log is the last n lines that s wrote.
	Log(s engine.Server, n int) string
	// Admin is how the program itself connects to s, as superuser over the
	// private socket.
	Admin(s engine.Server, database string) *pgx.ConnConfig
	// Host is the address that apps connect to.
	Host() string
}
