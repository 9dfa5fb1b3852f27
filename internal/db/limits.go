package db

import (
	"context"
	"time"
)

// LimitsTold is the highest share of each limit of its plan, in percent, that a
// notice about a database has told of, and when. 0 is none.
type LimitsTold struct {
	StorageTold       int
	StorageToldAt     *time.Time
	ConnectionsTold   int
	ConnectionsToldAt *time.Time
}

// LimitsToldOf is what was told about the database; zero where it was never read.
func LimitsToldOf(ctx context.Context, q Querier, databaseID int64) (LimitsTold, error) {
	rows, err := many[LimitsTold](ctx, q, `select storage_told, storage_told_at, connections_told, connections_told_at
		from readings where database_id = $1`, databaseID)
	if err != nil || len(rows) == 0 {
		return LimitsTold{}, err
	}
	return rows[0], nil
}

// SetLimitsTold records what was told about the database.
func SetLimitsTold(ctx context.Context, q Querier, databaseID int64, told LimitsTold) error {
	_, err := exec(ctx, q, `update readings set storage_told = $2, storage_told_at = $3, connections_told = $4, connections_told_at = $5
		where database_id = $1`, databaseID, told.StorageTold, told.StorageToldAt, told.ConnectionsTold, told.ConnectionsToldAt)
	return err
}

// SetDatabaseFull records since when the database refuses what would make it
// larger, keeping the first time, or that it takes every write again.
func SetDatabaseFull(ctx context.Context, q Querier, id int64, full bool) error {
	return changeDatabase(ctx, q, `full_at = case when $2 then coalesce(full_at, now()) end`, id, full)
}
