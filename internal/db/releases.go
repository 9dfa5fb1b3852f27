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
