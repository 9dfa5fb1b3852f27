package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

const serverColumns = `id, coalesce(database_id, 0) as database_id, database_id is null as shared, zone, port, major, plan, fenced, leader_id, state, created_at, destroyed_at`

// NewServer is what a server's row begins with.
type NewServer struct {
	DatabaseID int64 // 0: a shared cluster, which no database owns
	Zone       string
	Port       int
	Major      int
	Plan       string
	LeaderID   *int64 // the server it is a copy of
}

// CreateServer adds a server in state making; its port is reserved for its
// whole life. A port that another server has is Conflict at field "port" and
// leaves the transaction usable, so that the caller can try the next one.
func CreateServer(ctx context.Context, q Querier, n NewServer) (platform.Server, error) {
	list, err := many[platform.Server](ctx, q, `insert into servers (database_id, zone, port, major, plan, leader_id)
		values (nullif($1, 0), $2, $3, $4, $5, $6)
		on conflict (port) where destroyed_at is null do nothing
		returning `+serverColumns, n.DatabaseID, n.Zone, n.Port, n.Major, n.Plan, n.LeaderID)
	if err != nil {
		return platform.Server{}, err
	}
	if len(list) == 0 {
		e := platform.Conflict("Port %d belongs to another server for as long as that one exists. Choose another port.", n.Port)
		e.Field = "port"
		return platform.Server{}, e
	}
	return list[0], nil
}

// portLock is the advisory lock of those who choose a port.
const portLock = 0x706f727473 // "ports"

// TakenPorts is the ports of every server that is not destroyed, also of
// fenced and stopped ones, and of every connection pool. Others who ask wait until tx ends: what is free now
// is still free when the server is made.
func TakenPorts(ctx context.Context, tx pgx.Tx) (map[int]bool, error) {
	// A statement of its own, so that the next one sees what the last holder did.
	if _, err := exec(ctx, tx, `select pg_advisory_xact_lock($1)`, int64(portLock)); err != nil {
		return nil, err
	}
	ports, err := value[[]int](ctx, tx, nil, `select coalesce(array_agg(port), '{}') from (
		select port from servers where destroyed_at is null union all select port from pools where removed_at is null) p`)
	taken := make(map[int]bool, len(ports))
	for _, p := range ports {
		taken[p] = true
	}
	return taken, err
}

// ServerByID finds a server, also a destroyed one.
func ServerByID(ctx context.Context, q Querier, id int64) (platform.Server, error) {
	return one[platform.Server](ctx, q, noServer(), `select `+serverColumns+` from servers where id = $1`, id)
}

// ServerOf is the server that is the database now; NotFound before there is one.
func ServerOf(ctx context.Context, q Querier, databaseID int64) (platform.Server, error) {
	return one[platform.Server](ctx, q, platform.NotFound("The database has no server yet. Wait until it is available."),
		`select `+serverColumns+` from servers where id = (select server_id from databases where id = $1)`, databaseID)
}

// joinedServerColumns are those of the server v that a database is joined to, or
// that it has none.
const joinedServerColumns = `coalesce(v.id, 0) as v_id, coalesce(v.database_id, 0) as v_database_id, v.database_id is null as v_shared,
	coalesce(v.zone, '') as v_zone, coalesce(v.port, 0) as v_port, coalesce(v.major, 0) as v_major, coalesce(v.plan, '') as v_plan,
	coalesce(v.state, '') as v_state, coalesce(v.fenced, false) as v_fenced, v.leader_id as v_leader_id, v.created_at as v_created_at, v.destroyed_at as v_destroyed_at`

type joinedServer struct {
	VID, VDatabaseID         int64
	VZone, VPlan             string
	VPort, VMajor            int
	VState                   platform.ServerState
	VFenced, VShared         bool
	VLeaderID                *int64
	VCreatedAt, VDestroyedAt *time.Time
}

// server is the one that was joined; nil where there was none.
func (v joinedServer) server() *platform.Server {
	if v.VID == 0 {
		return nil
	}
	return &platform.Server{
		ID: v.VID, DatabaseID: v.VDatabaseID, Shared: v.VShared, Zone: v.VZone, Port: v.VPort, Major: v.VMajor, Plan: v.VPlan,
		Fenced: v.VFenced, LeaderID: v.VLeaderID, State: v.VState, CreatedAt: *v.VCreatedAt, DestroyedAt: v.VDestroyedAt,
	}
}

// ListServers is every server that is not destroyed, oldest first.
func ListServers(ctx context.Context, q Querier) ([]platform.Server, error) {
	return many[platform.Server](ctx, q, `select `+serverColumns+` from servers where destroyed_at is null order by id`)
}

// ServersOf is the database's servers that are not destroyed, oldest first.
func ServersOf(ctx context.Context, q Querier, databaseID int64) ([]platform.Server, error) {
	return many[platform.Server](ctx, q, `select `+serverColumns+` from servers
		where database_id = $1 and destroyed_at is null order by id`, databaseID)
}

// ServersFollowing is the servers that stream from the leader, oldest first.
func ServersFollowing(ctx context.Context, q Querier, leaderServerID int64) ([]platform.Server, error) {
	return many[platform.Server](ctx, q, `select `+serverColumns+` from servers
		where leader_id = $1 and destroyed_at is null order by id`, leaderServerID)
}

// SetServerState records what the engine is to make true of the server. For
// destroyed there is SetServerDestroyed.
func SetServerState(ctx context.Context, q Querier, id int64, state platform.ServerState) error {
	return mustTouch(ctx, q, noServer(), `update servers set state = $2 where id = $1 and destroyed_at is null`, id, state)
}

// SetServerFenced keeps the engine's mark: a fenced server streams from nobody
// and starts in recovery only.
func SetServerFenced(ctx context.Context, q Querier, id int64, fenced bool) error {
	return mustTouch(ctx, q, noServer(), `update servers set fenced = $2, leader_id = case when $2 then null else leader_id end
		where id = $1 and destroyed_at is null`, id, fenced)
}

// SetServerLeader records which server it streams from; nil for a leader.
func SetServerLeader(ctx context.Context, q Querier, id int64, leaderID *int64) error {
	return mustTouch(ctx, q, noServer(), `update servers set leader_id = $2 where id = $1 and destroyed_at is null`, id, leaderID)
}

// SetServerPlan records the plan whose limits the server is run with.
func SetServerPlan(ctx context.Context, q Querier, id int64, plan string) error {
	return mustTouch(ctx, q, noServer(), `update servers set plan = $2 where id = $1 and destroyed_at is null`, id, plan)
}

// SetServerDestroyed gives the port back. It may run again.
func SetServerDestroyed(ctx context.Context, q Querier, id int64) error {
	return mustTouch(ctx, q, noServer(), `update servers set state = 'destroyed', leader_id = null,
		destroyed_at = coalesce(destroyed_at, now()) where id = $1`, id)
}

// SetServerFoundStopped records that a server that should run, and that no
// operation has, was found stopped; the first time counts.
func SetServerFoundStopped(ctx context.Context, q Querier, id int64) error {
	_, err := exec(ctx, q, `update servers set found_stopped_at = coalesce(found_stopped_at, now()) where id = $1
		and not exists (select from operation_claims c where c.database_id = servers.database_id)`, id)
	return err
}

// SetServerRunsAgain records since when a server that was found stopped runs again.
func SetServerRunsAgain(ctx context.Context, q Querier, id int64) error {
	_, err := exec(ctx, q, `update servers set runs_again_at = now() where id = $1 and found_stopped_at is not null`, id)
	return err
}

// StoppedServer is a server that was found stopped and was not told of since.
type StoppedServer struct {
	ID          int64
	FoundAt     time.Time
	RunsAgainAt *time.Time // nil: it does not run
	Told        bool       // that it does not run
}

// StoppedServers locks and returns those of the servers that were found stopped;
// of those that are in running it records that they run again, the first time.
func StoppedServers(ctx context.Context, tx pgx.Tx, ids, running []int64) ([]StoppedServer, error) {
	return many[StoppedServer](ctx, tx, `with found as (
			select id from servers where id = any($1) and found_stopped_at is not null order by id for update)
		update servers s set runs_again_at = case when s.id = any($2) then coalesce(s.runs_again_at, now()) end
		from found where s.id = found.id
		returning s.id, s.found_stopped_at as found_at, s.runs_again_at, s.stopped_told as told`, ids, running)
}

// SetServerStoppedTold records that it was told of that a server was found
// stopped: one that runs again is as if it never was.
func SetServerStoppedTold(ctx context.Context, q Querier, id int64) error {
	_, err := exec(ctx, q, `update servers set found_stopped_at = case when runs_again_at is null then found_stopped_at end,
		stopped_told = runs_again_at is null, runs_again_at = null where id = $1`, id)
	return err
}

// DatabasesOnServer are the databases that live on a server, oldest first.
func DatabasesOnServer(ctx context.Context, q Querier, serverID int64) ([]platform.Database, error) {
	return many[platform.Database](ctx, q, `select `+databaseColumns+` from databases d join apps a on a.id = d.app_id
		where d.server_id = $1 and d.state in ('available', 'fenced') order by d.id`, serverID)
}

func noServer() error {
	return platform.NotFound("The server does not exist any more. Reload the page.")
}
