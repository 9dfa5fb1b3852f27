package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

const blackoutColumns = `b.id, b.app_id, coalesce(a.name, '') as app_name, b.begins_at as "from", b.ends_at as until, b.reason,
	b.created_by, b.created_at`

// CreateBlackout adds a blackout that platform.Blackout.Check has let pass.
func CreateBlackout(ctx context.Context, q Querier, b platform.Blackout) (platform.Blackout, error) {
	return one[platform.Blackout](ctx, q, nil, `with b as (
			insert into blackouts (app_id, begins_at, ends_at, reason, created_by) values ($1, $2, $3, $4, $5) returning *)
		select `+blackoutColumns+` from b left join apps a on a.id = b.app_id, pg_notify('live', 'maintenances')`,
		b.AppID, b.From, b.Until, b.Reason, b.CreatedBy)
}

// BlackoutByID is NotFound for one that was removed.
func BlackoutByID(ctx context.Context, q Querier, id int64) (platform.Blackout, error) {
	return one[platform.Blackout](ctx, q, NoBlackout(), `select `+blackoutColumns+` from blackouts b left join apps a on a.id = b.app_id where b.id = $1`, id)
}

// DeleteBlackout removes a blackout; one that is gone already is NotFound.
func DeleteBlackout(ctx context.Context, q Querier, id int64) error {
	return mustTouch(ctx, q, NoBlackout(), `with gone as (delete from blackouts where id = $1 returning id)
		select pg_notify('live', 'maintenances') from gone`, id)
}

// ListBlackouts are the blackouts of every app that touch the time between from
// and until, in order.
func ListBlackouts(ctx context.Context, q Querier, from, until time.Time) ([]platform.Blackout, error) {
	return many[platform.Blackout](ctx, q, `select `+blackoutColumns+` from blackouts b left join apps a on a.id = b.app_id
		where b.ends_at > $1 and b.begins_at < $2 order by b.begins_at, b.id`, from, until)
}

// BlackoutsFor are those that an app's maintenances must keep out of from now on:
// its own and those of every app.
func BlackoutsFor(ctx context.Context, q Querier, appID int64, now time.Time) ([]platform.Blackout, error) {
	return blackoutsFor(ctx, q, []int64{appID}, now)
}

// blackoutsFor is BlackoutsFor of many apps.
func blackoutsFor(ctx context.Context, q Querier, appIDs []int64, now time.Time) ([]platform.Blackout, error) {
	return many[platform.Blackout](ctx, q, `select `+blackoutColumns+` from blackouts b left join apps a on a.id = b.app_id
		where b.ends_at > $2 and (b.app_id is null or b.app_id = any($1)) order by b.begins_at, b.id`, appIDs, now)
}

// NoBlackout is the answer about a blackout that does not exist.
func NoBlackout() error {
	return platform.NotFound("The blackout does not exist any more. Reload the page.")
}
