package db

import (
	"context"
	"strings"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

const appColumns = `id, name, maintenance_on, created_at`

// CreateApp adds an app with one web process and release v1. The actor, where
// that is a user's address, manages it. A taken name is Conflict, a malformed
// one Invalid, both at field "name".
func CreateApp(ctx context.Context, q Querier, name, actor string) (platform.App, error) {
	if err := platform.CheckAppName("name", name); err != nil {
		return platform.App{}, err
	}
	return one[platform.App](ctx, q, nil, `with app as (
			insert into apps (name) values ($1) returning `+appColumns+`),
		formation as (
			insert into formations (app_id, process, quantity) select id, 'web', 1 from app),
		release as (
			insert into releases (app_id, number, description, actor) select id, 1, 'App created', $2 from app),
		manager as (
			insert into app_members (app_id, user_id, role, added_by) select app.id, u.id, 'manage', u.email from app, users u
			where u.email = $2 returning user_id),
		told as (select pg_notify('live', 'access:' || user_id) from manager)
		select `+appColumns+` from app left join told on true, pg_notify('live', 'rail')`, name, actor)
}

// AppByName is NotFound for a name that no app has now.
func AppByName(ctx context.Context, q Querier, name string) (platform.App, error) {
	return one[platform.App](ctx, q, noAppNamed(name),
		`select `+appColumns+` from apps where name = $1 and destroyed_at is null`, name)
}

// AppByID finds an app, also a destroyed one: old operations name it.
func AppByID(ctx context.Context, q Querier, id int64) (platform.App, error) {
	return one[platform.App](ctx, q, noApp(), `select `+appColumns+` from apps where id = $1`, id)
}

// AppListRow is an app with what the list of apps shows of it.
type AppListRow struct {
	ID            int64
	Name          string
	MaintenanceOn bool
	CreatedAt     time.Time
	Release       int // the newest release's number
	ReleasedAt    *time.Time
	Processes     int    // how many run by the formation, of all types
	Formation     string // "web=2 worker=1"
	Databases     int    // different databases attached
	DatabaseName  string // what DATABASE_URL is; empty when it is nothing
}

// ListApps is every app that exists and that access sees, by name, in one query.
func ListApps(ctx context.Context, q Querier, access platform.Access) ([]AppListRow, error) {
	ask := askFor(access)
	return many[AppListRow](ctx, q, `select a.id, a.name, a.maintenance_on, a.created_at,
			coalesce(r.number, 0) as release, r.created_at as released_at,
			coalesce(f.processes, 0) as processes, coalesce(f.formation, '') as formation,
			(select count(distinct t.database_id) from attachments t where t.app_id = a.id) as databases,
			coalesce((select d.name from attachments t join databases d on d.id = t.database_id
				where t.app_id = a.id and t.name = 'DATABASE'), '') as database_name
		from apps a
		left join lateral (select number, created_at from releases where app_id = a.id order by number desc limit 1) r on true
		left join lateral (select sum(quantity) as processes, string_agg(process || '=' || quantity, ' ' order by process) as formation
			from formations where app_id = a.id) f on true
		where a.destroyed_at is null and `+ask.seesApp("a.id")+` order by a.name`, ask.args...)
}

// SetMaintenance turns the app's maintenance mode on or off.
func SetMaintenance(ctx context.Context, q Querier, appID int64, on bool) error {
	return mustTouch(ctx, q, noApp(), `with changed as (
			update apps set maintenance_on = $2 where id = $1 and destroyed_at is null returning id)
		select pg_notify('live', 'app:' || id) from changed`, appID, on)
}

// DestroyApp removes an app, its attachments and its config vars; its releases
// and its name in old operations stay. While a database is billed to it, it is
// Conflict, with their names.
func DestroyApp(ctx context.Context, tx pgx.Tx, appID int64) error {
	app, err := lockApp(ctx, tx, appID)
	if err != nil {
		return err
	}
	billed, err := value[[]string](ctx, tx, nil,
		`select coalesce(array_agg(name order by name), '{}') from databases where app_id = $1 and state <> 'destroyed'`, appID)
	if err != nil {
		return err
	}
	if len(billed) > 0 {
		return platform.Conflict("%s still has %s. Destroy what is billed to it first.", app.Name, strings.Join(billed, ", "))
	}
	for _, sql := range []string{
		`delete from attachments where app_id = $1`,
		`delete from config_vars where app_id = $1`,
		`update apps set destroyed_at = now() where id = $1`,
		`select pg_notify('live', 'app:' || $1::bigint), pg_notify('live', 'rail'), pg_notify('live', 'databases')`,
	} {
		if _, err := exec(ctx, tx, sql, appID); err != nil {
			return err
		}
	}
	return nil
}

// lockApp makes everything that numbers the app's releases wait its turn.
func lockApp(ctx context.Context, tx pgx.Tx, appID int64) (platform.App, error) {
	return one[platform.App](ctx, tx, noApp(), `select `+appColumns+` from apps where id = $1 and destroyed_at is null for no key update`, appID)
}

func noApp() error {
	return platform.NotFound("The app does not exist any more. Choose one from the list of apps.")
}

func noAppNamed(name string) error {
	return platform.NotFound("There is no app %s. Choose one from the list of apps.", name)
}
