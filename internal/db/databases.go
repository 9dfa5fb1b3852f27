package db

import (
	"context"

	"changeover/internal/platform"
)

const databaseColumns = `d.id, d.name, d.app_id, a.name as app_name, d.plan, d.state, d.major, d.server_id, d.following_id,
	d.readable_at, d.forked_from_id, d.fork_ready, d.replaced_by_id, d.fenced_at, d.full_at, d.database_name, d.role_name,
	d.created_at, d.destroyed_at`

const fromDatabases = ` from databases d join apps a on a.id = d.app_id `

// nameAttempts is how often a random name may be taken before that is a fault.
const nameAttempts = 20

// NewDatabase is what a database's row begins with.
type NewDatabase struct {
	AppID int64
	Plan  string
	Major int
}

// CreateDatabase adds a database in state creating, under a random name, with
// random credentials inside. It has no server, no attachment and no cost yet.
func CreateDatabase(ctx context.Context, q Querier, s *Sealer, n NewDatabase) (platform.Database, error) {
	return insertDatabase(ctx, q, s, platform.Database{
		AppID: n.AppID, Plan: n.Plan, Major: n.Major,
		DatabaseName: platform.RandomToken(14), RoleName: platform.RandomToken(14),
	}, platform.RandomToken(32))
}

// CreateFollower adds a database in state creating that follows leader and is
// billed to appID. As a copy of every byte it has the leader's credentials.
func CreateFollower(ctx context.Context, q Querier, s *Sealer, leader platform.Database, appID int64, plan string) (platform.Database, error) {
	password, err := DatabasePassword(ctx, q, s, leader.ID)
	if err != nil {
		return platform.Database{}, err
	}
	return insertDatabase(ctx, q, s, platform.Database{
		AppID: appID, Plan: plan, Major: leader.Major, FollowingID: &leader.ID,
		DatabaseName: leader.DatabaseName, RoleName: leader.RoleName,
	}, password)
}

// insertDatabase tries names until one is free, without failing the
// transaction it may be in.
func insertDatabase(ctx context.Context, q Querier, s *Sealer, d platform.Database, password string) (platform.Database, error) {
	for range nameAttempts {
		name := platform.RandomDatabaseName()
		list, err := many[platform.Database](ctx, q, `with d as (
				insert into databases (name, app_id, plan, major, following_id, database_name, role_name, password_sealed)
				values ($1, $2, $3, $4, $5, $6, $7, $8)
				on conflict (name) do nothing returning *)
			select `+databaseColumns+` from d join apps a on a.id = d.app_id, pg_notify('live', 'databases')`,
			name, d.AppID, d.Plan, d.Major, d.FollowingID, d.DatabaseName, d.RoleName, s.Seal(password, passwordContext(name)))
		if err != nil {
			return platform.Database{}, err
		}
		if len(list) == 1 {
			return list[0], nil
		}
	}
	return platform.Database{}, platform.Conflict("No free name for the database was found in %d tries. Try again.", nameAttempts)
}

// DatabaseByName finds a database, also a destroyed one, by its add-on name.
func DatabaseByName(ctx context.Context, q Querier, name string) (platform.Database, error) {
	return one[platform.Database](ctx, q, noDatabaseNamed(name),
		`select `+databaseColumns+fromDatabases+`where d.name = $1`, name)
}

// DatabaseByID finds a database, also a destroyed one.
func DatabaseByID(ctx context.Context, q Querier, id int64) (platform.Database, error) {
	return one[platform.Database](ctx, q, noDatabase(), `select `+databaseColumns+fromDatabases+`where d.id = $1`, id)
}

// LockDatabase is DatabaseByID that holds the row until the transaction ends,
// for a rule that must still be true when its answer is written. It is no key
// lock, so that rows which refer to the database can still be added meanwhile.
func LockDatabase(ctx context.Context, q Querier, id int64) (platform.Database, error) {
	return one[platform.Database](ctx, q, noDatabase(), `select `+databaseColumns+fromDatabases+`where d.id = $1 for no key update of d`, id)
}

// Followers is the databases that follow the leader now, oldest first.
func Followers(ctx context.Context, q Querier, leaderID int64) ([]platform.Database, error) {
	return many[platform.Database](ctx, q, `select `+databaseColumns+fromDatabases+
		`where d.following_id = $1 and d.state <> 'destroyed' order by d.id`, leaderID)
}

// DatabasesOfApp is what is billed to the app and not destroyed, by name.
func DatabasesOfApp(ctx context.Context, q Querier, appID int64) ([]platform.Database, error) {
	return many[platform.Database](ctx, q, `select `+databaseColumns+fromDatabases+
		`where d.app_id = $1 and d.state <> 'destroyed' order by d.name`, appID)
}

// DatabaseNames is the names of the given databases, for notices and lists.
func DatabaseNames(ctx context.Context, q Querier, ids []int64) (map[int64]string, error) {
	type row struct {
		ID   int64
		Name string
	}
	rows, err := many[row](ctx, q, `select id, name from databases where id = any($1)`, ids)
	names := make(map[int64]string, len(rows))
	for _, r := range rows {
		names[r.ID] = r.Name
	}
	return names, err
}

func noDatabaseNamed(name string) error {
	return platform.NotFound("There is no database %s. Choose one from the list of databases.", name)
}

func noDatabase() error {
	return platform.NotFound("The database does not exist any more. Choose one from the list of databases.")
}
