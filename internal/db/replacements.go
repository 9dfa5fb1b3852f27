package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Replacement is the server that an operation makes in order to put it in the
// place of another one of the same database.
type Replacement struct {
	OperationID int64
	DatabaseID  int64
	Plan        string
	ServerID    *int64 // nil before it is reserved, and once it is removed
	OldServerID int64
	// KeptUntil is set while the old server is kept for switching back.
	KeptUntil *time.Time
}

const replacementColumns = `p.operation_id, p.database_id, p.plan, p.server_id, p.old_server_id, p.kept_until`

// InsertReplacement stores what is to be replaced, and on which plan. serverID
// is a server that is there already, nil where one is to be made.
func InsertReplacement(ctx context.Context, tx pgx.Tx, r Replacement) error {
	_, err := exec(ctx, tx, `insert into replacements (operation_id, database_id, plan, server_id, old_server_id) values ($1, $2, $3, $4, $5)`,
		r.OperationID, r.DatabaseID, r.Plan, r.ServerID, r.OldServerID)
	return err
}

// ReplacementOf is the operation's replacement; NotFound for one that makes none.
func ReplacementOf(ctx context.Context, q Querier, operationID int64) (Replacement, error) {
	return one[Replacement](ctx, q, platform.NotFound("Operation %d replaces no server.", operationID),
		`select `+replacementColumns+` from replacements p where p.operation_id = $1`, operationID)
}

// SetReplacementServer records the server that is made; nil once it is removed.
func SetReplacementServer(ctx context.Context, q Querier, operationID int64, serverID *int64) error {
	_, err := exec(ctx, q, `update replacements set server_id = $2 where operation_id = $1`, operationID, serverID)
	return err
}

// KeepOldServer keeps the old server for switching back until then; a second
// call does not prolong it.
func KeepOldServer(ctx context.Context, q Querier, operationID int64, until time.Time) error {
	_, err := exec(ctx, q, `update replacements set kept_until = coalesce(kept_until, $2) where operation_id = $1`, operationID, until)
	return err
}

// ForgetKeptServer says that the server is kept no more: it took its place
// again, or it is destroyed.
func ForgetKeptServer(ctx context.Context, q Querier, serverID int64) error {
	_, err := exec(ctx, q, `update replacements set kept_until = null where old_server_id = $1`, serverID)
	return err
}

const stillKept = ` from replacements p join servers v on v.id = p.old_server_id where p.kept_until is not null and v.destroyed_at is null `

// KeptServerOf is the newest replacement of the database whose old server is
// still kept; ok is false where none is.
func KeptServerOf(ctx context.Context, q Querier, databaseID int64) (r Replacement, ok bool, err error) {
	list, err := many[Replacement](ctx, q, `select `+replacementColumns+stillKept+`and p.database_id = $1 order by p.operation_id desc limit 1`, databaseID)
	if err != nil || len(list) == 0 {
		return r, false, err
	}
	return list[0], true, nil
}

// KeptLongEnough are the replacements whose old server was to be kept until now
// or less, oldest first.
func KeptLongEnough(ctx context.Context, q Querier, now time.Time) ([]Replacement, error) {
	return many[Replacement](ctx, q, `select `+replacementColumns+stillKept+`and p.kept_until <= $1 order by p.kept_until, p.operation_id`, now)
}
