package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// DatabaseMove is an Essential database that is copied into a new one, which
// takes its place.
type DatabaseMove struct {
	OperationID     int64
	DatabaseID      int64
	Plan, FromPlan  string
	Maintenance     bool   // the app is in maintenance mode meanwhile
	DatabaseName    string // of the new one
	ServerID        *int64 // of the new one; nil before it is chosen, and once it is removed
	OldDatabaseName string
	OldServerID     int64
	DataBytes       *int64 // what was copied
	// KeptUntil is set while the old one is kept closed.
	KeptUntil *time.Time
}

const moveColumns = `m.operation_id, m.database_id, m.plan, m.from_plan, m.maintenance, m.database_name, m.server_id, m.old_database_name, m.old_server_id, m.data_bytes, m.kept_until`

// InsertDatabaseMove stores what is to be moved, and to which plan. The new
// database's name is random.
func InsertDatabaseMove(ctx context.Context, tx pgx.Tx, operationID int64, d platform.Database, plan string, maintenance bool) error {
	_, err := exec(ctx, tx, `insert into database_moves (operation_id, database_id, plan, from_plan, maintenance, database_name, old_database_name, old_server_id)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`, operationID, d.ID, plan, d.Plan, maintenance, platform.RandomToken(14), d.DatabaseName, d.ServerID)
	return err
}

// DatabaseMoveOf is the operation's move; NotFound for one that moves none.
func DatabaseMoveOf(ctx context.Context, q Querier, operationID int64) (DatabaseMove, error) {
	return one[DatabaseMove](ctx, q, platform.NotFound("Operation %d moves no database.", operationID),
		`select `+moveColumns+` from database_moves m where m.operation_id = $1`, operationID)
}

// SetMoveServer records in which cluster the new database is; nil once it is removed.
func SetMoveServer(ctx context.Context, q Querier, operationID int64, serverID *int64) error {
	_, err := exec(ctx, q, `update database_moves set server_id = $2 where operation_id = $1`, operationID, serverID)
	return err
}

// SetMoveBytes records how much was copied.
func SetMoveBytes(ctx context.Context, q Querier, operationID, bytes int64) error {
	_, err := exec(ctx, q, `update database_moves set data_bytes = $2 where operation_id = $1`, operationID, bytes)
	return err
}

// MoveDatabase makes the new database the database: its config vars point there
// from then on. The old one is kept until then; a second call changes nothing.
func MoveDatabase(ctx context.Context, tx pgx.Tx, m DatabaseMove, keepUntil time.Time) error {
	if err := changeDatabase(ctx, tx, `server_id = $2, database_name = $3, plan = $4, full_at = null`, m.DatabaseID, m.ServerID, m.DatabaseName, m.Plan); err != nil {
		return err
	}
	_, err := exec(ctx, tx, `update database_moves set kept_until = coalesce(kept_until, $2) where operation_id = $1`, m.OperationID, keepUntil)
	return err
}

// ForgetKeptDatabase says that the old database of the move is kept no more.
func ForgetKeptDatabase(ctx context.Context, q Querier, operationID int64) error {
	_, err := exec(ctx, q, `update database_moves set kept_until = null where operation_id = $1`, operationID)
	return err
}

// KeptDatabasesOf are the moves of the database whose old one is still kept,
// newest first.
func KeptDatabasesOf(ctx context.Context, q Querier, databaseID int64) ([]DatabaseMove, error) {
	return many[DatabaseMove](ctx, q, `select `+moveColumns+` from database_moves m where m.database_id = $1 and m.kept_until is not null order by m.operation_id desc`, databaseID)
}

// DatabasesKeptLongEnough are the moves whose old database was to be kept until
// now or less, oldest first.
func DatabasesKeptLongEnough(ctx context.Context, q Querier, now time.Time) ([]DatabaseMove, error) {
	return many[DatabaseMove](ctx, q, `select `+moveColumns+` from database_moves m where m.kept_until <= $1 order by m.kept_until, m.operation_id`, now)
}

// MoveFigure is what one move of any database came to.
type MoveFigure struct {
	DataBytes int64
	OutageMS  float64
}

// MoveFigures are those of the last moves that were completed, newest first.
func MoveFigures(ctx context.Context, q Querier, limit int) ([]MoveFigure, error) {
	return many[MoveFigure](ctx, q, `select m.data_bytes, c.outage_ms from database_moves m
		join operations o on o.id = m.operation_id join changeovers c on c.operation_id = m.operation_id
		where o.state = 'completed' and m.data_bytes is not null and c.outage_ms is not null order by o.id desc limit $1`, limit)
}
