package db

import (
	"context"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

const releaseColumns = `number, description, actor, operation_id, created_at`

// CreateRelease writes the app's next release, v<N+1>. The app's row is locked
// until tx ends, so that numbers have no gaps and no doubles.
func CreateRelease(ctx context.Context, tx pgx.Tx, appID int64, description, actor string, operationID *int64) (platform.Release, error) {
	if _, err := lockApp(ctx, tx, appID); err != nil {
		return platform.Release{}, err
	}
	return one[platform.Release](ctx, tx, nil, `with release as (
			insert into releases (app_id, number, description, actor, operation_id)
			select $1, coalesce(max(number), 0) + 1, $2, $3, $4 from releases where app_id = $1
			returning `+releaseColumns+`)
		select `+releaseColumns+` from release, pg_notify('live', 'app:' || $1::bigint)`, appID, description, actor, operationID)
}

// ListReleases is the app's newest releases first, at most limit of them.
func ListReleases(ctx context.Context, q Querier, appID int64, limit int) ([]platform.Release, error) {
	return many[platform.Release](ctx, q, `select `+releaseColumns+` from releases where app_id = $1 order by number desc limit $2`, appID, limit)
}

// ReleaseMoved writes a release for each app that the database is attached to:
// its URL has changed. It may run again for the same operation. It returns the
// release of appID, 0 where that app has none.
func ReleaseMoved(ctx context.Context, tx pgx.Tx, databaseID, appID int64, description, actor string, operationID int64) (number int, err error) {
	apps, err := value[[]int64](ctx, tx, nil, `select coalesce(array_agg(distinct app_id order by app_id), '{}') from attachments where database_id = $1`, databaseID)
	if err != nil {
		return 0, err
	}
	for _, id := range apps {
		had, err := value[int](ctx, tx, nil, `select coalesce(max(number), 0) from releases where app_id = $1 and operation_id = $2 and description = $3`, id, operationID, description)
		if err != nil {
			return 0, err
		}
		if had == 0 {
			release, err := CreateRelease(ctx, tx, id, description, actor, &operationID)
			if err != nil {
				return 0, err
			}
			had = release.Number
		}
		if id == appID {
			number = had
		}
	}
	return number, nil
}
