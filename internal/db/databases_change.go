package db

import (
	"context"

	"changeover/internal/platform"
)

// changeDatabase updates one database and tells the pages that show it. sets
// is SQL of this file only; $1 is the database.
func changeDatabase(ctx context.Context, q Querier, sets string, id int64, args ...any) error {
	return mustTouch(ctx, q, noDatabase(), `with changed as (
			update databases set `+sets+` where id = $1 returning id, app_id)
		select pg_notify('live', 'database:' || id), pg_notify('live', 'app:' || app_id), pg_notify('live', 'databases')
		from changed`, append([]any{id}, args...)...)
}

// SetDatabaseState moves a database to a state. Fenced and destroyed have
// functions of their own, which also keep the time; one that a retry makes
// again is not destroyed any more.
func SetDatabaseState(ctx context.Context, q Querier, id int64, state platform.DatabaseState) error {
	return changeDatabase(ctx, q, `state = $2, destroyed_at = null`, id, state)
}

// SetDatabaseServer makes the server be the database, nil for none. From then
// on every config var of its attachments points there.
func SetDatabaseServer(ctx context.Context, q Querier, id int64, serverID *int64) error {
	return changeDatabase(ctx, q, `server_id = $2`, id, serverID)
}

// SetDatabaseFollowing makes the database a follower of leader. It has to
// catch up again before it counts as readable.
func SetDatabaseFollowing(ctx context.Context, q Querier, id, leaderID int64) error {
	return changeDatabase(ctx, q, `following_id = $2,
		readable_at = case when following_id is not distinct from $2 then readable_at end`, id, leaderID)
}

// SetDatabaseUnfollowed makes a follower a fork of the leader it followed,
// not ready to be followed before SetDatabaseForkReady. For a database that
// follows nothing it changes nothing.
func SetDatabaseUnfollowed(ctx context.Context, q Querier, id int64) error {
	return changeDatabase(ctx, q, `forked_from_id = coalesce(following_id, forked_from_id),
		fork_ready = case when following_id is null then fork_ready else false end,
		readable_at = null, following_id = null`, id)
}

// SetDatabaseForkReady says that a fork may be followed and forked itself.
func SetDatabaseForkReady(ctx context.Context, q Querier, id int64, ready bool) error {
	return changeDatabase(ctx, q, `fork_ready = $2`, id, ready)
}

// SetDatabaseReadable keeps the time at which a follower first caught up.
func SetDatabaseReadable(ctx context.Context, q Querier, id int64) error {
	return changeDatabase(ctx, q, `readable_at = coalesce(readable_at, now())`, id)
}

// SetDatabaseFenced records the fence, keeping the time of the first one, or
// takes it back: the database is then available.
func SetDatabaseFenced(ctx context.Context, q Querier, id int64, fenced bool) error {
	if fenced {
		return changeDatabase(ctx, q, `state = 'fenced', fenced_at = coalesce(fenced_at, now())`, id)
	}
	return changeDatabase(ctx, q, `state = 'available', fenced_at = null`, id)
}

// SetDatabaseReplacedBy records which database took this one's place; nil when
// a switch is undone.
func SetDatabaseReplacedBy(ctx context.Context, q Querier, id int64, by *int64) error {
	return changeDatabase(ctx, q, `replaced_by_id = $2`, id, by)
}

// SetWantedZone records where the database's server is to be made; "" leaves it
// to the rule: away from its leader.
func SetWantedZone(ctx context.Context, q Querier, id int64, zone string) error {
	return changeDatabase(ctx, q, `wanted_zone = $2`, id, zone)
}

// WantedZone is what SetWantedZone recorded.
func WantedZone(ctx context.Context, q Querier, id int64) (string, error) {
	return value[string](ctx, q, noDatabase(), `select wanted_zone from databases where id = $1`, id)
}

// SetDatabasePassword seals a new password of the app's role.
func SetDatabasePassword(ctx context.Context, q Querier, s *Sealer, id int64, name, password string) error {
	return changeDatabase(ctx, q, `password_sealed = $2`, id, s.Seal(password, passwordContext(name)))
}

// SetDatabasePlan moves the database to a plan. What it is billed is not
// touched: see ChangeBilledPlan.
func SetDatabasePlan(ctx context.Context, q Querier, id int64, plan string) error {
	return changeDatabase(ctx, q, `plan = $2`, id, plan)
}

// SetDatabaseDestroyed is the end of a database: the row stays for its
// operations, without a server, its name never used again. It keeps whom it
// followed: when its making was put back, a retry makes it again from there.
func SetDatabaseDestroyed(ctx context.Context, q Querier, id int64) error {
	return changeDatabase(ctx, q, `state = 'destroyed', destroyed_at = coalesce(destroyed_at, now()),
		server_id = null, readable_at = null`, id)
}

// SetDatabaseSeparated makes a replaced database a fork of the one that took
// its place: they share their past and nothing from then on.
func SetDatabaseSeparated(ctx context.Context, q Querier, id int64) error {
	return changeDatabase(ctx, q, `forked_from_id = coalesce(replaced_by_id, forked_from_id), replaced_by_id = null, fork_ready = false`, id)
}
