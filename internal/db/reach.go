package db

import (
	"context"

	"changeover/internal/platform"
)

// Reach is which apps decide about a thing. Acting on it needs the role on
// each of Apps; to see it, a role on any of them or of SeenBy is enough.
type Reach struct {
	Apps   []int64
	SeenBy []int64 // apps that a database of it is attached to
	// Person, where it is set, alone decides: it is a notice to that user.
	Person *int64 `db:"-"`
}

// Sees is whether access reaches the thing at all.
func (r Reach) Sees(a platform.Access) bool { return a.SeesAny(r.Apps...) || a.SeesAny(r.SeenBy...) }

// ReachOfDatabase is NotFound for a name that no database ever had.
func ReachOfDatabase(ctx context.Context, q Querier, name string) (Reach, error) {
	return one[Reach](ctx, q, noDatabaseNamed(name), reachOfDatabase+`where d.name = $1`, name)
}

// ReachOfDatabaseID is ReachOfDatabase by id.
func ReachOfDatabaseID(ctx context.Context, q Querier, id int64) (Reach, error) {
	return one[Reach](ctx, q, noDatabase(), reachOfDatabase+`where d.id = $1`, id)
}

const reachOfDatabase = `select array[d.app_id] as apps,
	array(select distinct t.app_id from attachments t where t.database_id = d.id) as seen_by from databases d `

// ReachOfOperation is the apps of every database that it touches, and the app
// whose config vars it changes.
func ReachOfOperation(ctx context.Context, q Querier, id int64) (Reach, error) {
	return one[Reach](ctx, q, noOperation(id), `select
			array(select distinct d.app_id from databases d where d.id in (o.database_id, o.target_id)
				union select o.app_id where o.app_id is not null) as apps,
			array(select distinct t.app_id from attachments t where t.database_id in (o.database_id, o.target_id)) as seen_by
		from operations o where o.id = $1`, id)
}

// ReachOfNotice is the app that a notice is about, and its database's; those of
// all its databases where it is about several. A notice about neither is for administrators, one to a person for that person.
func ReachOfNotice(ctx context.Context, q Querier, id int64) (Reach, error) {
	row, err := one[struct {
		Reach
		UserID *int64
	}](ctx, q, noNotice(), `select
			array(select d.app_id from databases d where d.id = n.database_id
				union select n.app_id where n.app_id is not null
				union select p.app_id from notice_databases p where p.notice_id = n.id
				union select d.app_id from notice_databases p join databases d on d.id = p.database_id where p.notice_id = n.id) as apps,
			array(select distinct t.app_id from attachments t where t.database_id = n.database_id
				or t.database_id in (select p.database_id from notice_databases p where p.notice_id = n.id)) as seen_by, n.user_id
		from notices n where n.id = $1`, id)
	row.Person = row.UserID
	return row.Reach, err
}

// around is the databases that the page of a database tells about: itself,
// what it follows or came from, and what follows it. $1 is the databases.
const around = ` from databases d where d.id = any($1) or d.following_id = any($1)
	or d.id in (select unnest(array[x.following_id, x.forked_from_id, x.replaced_by_id]) from databases x where x.id = any($1))`

// AppsAround are the apps that the pages of these databases tell about: what
// the pages show depends on a visitor's roles on these apps and on no others.
func AppsAround(ctx context.Context, q Querier, databaseIDs ...int64) ([]int64, error) {
	return value[[]int64](ctx, q, nil, `with near as (select d.id, d.app_id `+around+`)
		select coalesce(array_agg(app_id order by app_id), '{}') from (
			select app_id from near union select t.app_id from attachments t where t.database_id in (select id from near)) apps`, databaseIDs)
}

// AppsAroundOperation is AppsAround for the page of an operation.
func AppsAroundOperation(ctx context.Context, q Querier, id int64) ([]int64, error) {
	type touched struct {
		Databases []int64
		AppID     *int64
	}
	t, err := one[touched](ctx, q, noOperation(id), `select array_remove(array[database_id, target_id], null) as databases, app_id
		from operations where id = $1`, id)
	if err != nil {
		return nil, err
	}
	apps, err := AppsAround(ctx, q, t.Databases...)
	if t.AppID != nil {
		apps = append(apps, *t.AppID)
	}
	return apps, err
}

// AppsAroundApp is AppsAround for the page of an app.
func AppsAroundApp(ctx context.Context, q Querier, appID int64) ([]int64, error) {
	return value[[]int64](ctx, q, nil, `select coalesce(array_agg(app_id order by app_id), '{}') from (
		select $1::bigint as app_id union
		select d.app_id from attachments t join databases d on d.id = t.database_id where t.app_id = $1) apps`, appID)
}

// ReachOfMaintenance is that of its database.
func ReachOfMaintenance(ctx context.Context, q Querier, id int64) (Reach, error) {
	return one[Reach](ctx, q, noMaintenance(), `select array[d.app_id] as apps,
			array(select distinct t.app_id from attachments t where t.database_id = d.id) as seen_by
		from maintenances m join databases d on d.id = m.database_id where m.id = $1`, id)
}
