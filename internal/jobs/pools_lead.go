package jobs

import (
	"context"
	"slices"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// LeadPool makes a connection pool that stayed with an old leader lead to the
// database that took its place; its clients are on the new one when it returns,
// and its URL is the same. Errors are sentences.
func (j *Jobs) LeadPool(ctx context.Context, actor string, attachmentID int64) (platform.Attachment, error) {
	var moved platform.Attachment
	err := db.InTx(ctx, j.Pool, func(tx pgx.Tx) (err error) {
		moved, err = db.LeadPool(ctx, tx, attachmentID, actor)
		return err
	})
	if err != nil {
		return moved, err
	}
	// It is tried again every two seconds; this once only saves that wait.
	if err := j.keepPool(ctx, *moved.PoolID); err != nil {
		j.Log.Warn("a connection pool does not lead to its new database yet", "pool", *moved.PoolID, "error", err)
	}
	return moved, nil
}

// PooledTransactions are the processes, on a database's server, of the
// transactions that are open through those of its connection pools whose ids are
// given. One that does not answer has none that could be ended.
func (j *Jobs) PooledTransactions(ctx context.Context, databaseID int64, poolIDs []int64) ([]int, error) {
	pools, err := db.PoolsOf(ctx, j.Pool, databaseID)
	if err != nil {
		return nil, err
	}
	var all []int
	for _, p := range pools {
		if !slices.Contains(poolIDs, p.ID) {
			continue
		}
		e, err := j.enginePool(p)
		if err != nil {
			return nil, err
		}
		pids, err := j.Engine.PoolBackends(ctx, e)
		if err != nil {
			j.Log.Warn("a connection pool cannot be asked for its transactions", "pool", p.ID, "error", err)
			continue
		}
		for _, pid := range pids {
			all = append(all, int(pid))
		}
	}
	slices.Sort(all)
	return all, nil
}

// Pooler is the version of the PgBouncer that connection pools run on, "" where
// none is installed, and whether it keeps track of prepared statements.
func (j *Jobs) Pooler() (version string, prepared bool) { return j.Engine.Pooler() }
