package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Pool is a connection pool with what it leads to now.
type Pool struct {
	ID           int64
	Port         int
	Verifier     string
	AttachmentID *int64 // nil: it was detached, and is to be removed
	AppID        *int64
	Name         string // of the attachment
	DatabaseID   *int64
	DatabaseName string // inside its server
	RoleName     string
	Plan         string
	ServerPort   *int // nil while the database has no server
	// ClaimEpoch is the epoch of the operation that has claimed the database.
	ClaimEpoch *int64
}

const poolsWithRoute = `select l.id, l.port, l.verifier, l.attachment_id, t.app_id, coalesce(t.name, '') as name, t.database_id,
		coalesce(d.database_name, '') as database_name, coalesce(d.role_name, '') as role_name, coalesce(d.plan, '') as plan,
		v.port as server_port, o.epoch as claim_epoch
	from pools l left join attachments t on t.id = l.attachment_id left join databases d on d.id = t.database_id
		left join servers v on v.id = d.server_id left join operation_claims c on c.database_id = d.id
		left join operations o on o.id = c.operation_id
	where l.removed_at is null `

// Pools are all that are not removed.
func Pools(ctx context.Context, q Querier) ([]Pool, error) {
	return many[Pool](ctx, q, poolsWithRoute+`order by l.id`)
}

// PoolsOf are the pools of a database's attachments.
func PoolsOf(ctx context.Context, q Querier, databaseID int64) ([]Pool, error) {
	return many[Pool](ctx, q, poolsWithRoute+`and t.database_id = $1 order by l.id`, databaseID)
}

// PoolByID is NotFound for one that was removed.
func PoolByID(ctx context.Context, q Querier, id int64) (Pool, error) {
	return one[Pool](ctx, q, platform.NotFound("The connection pool does not exist any more. Reload the page."), poolsWithRoute+`and l.id = $1`, id)
}

// NewPool is the pool of an attachment that is made.
type NewPool struct {
	Port     int
	Verifier string
}

func insertPool(ctx context.Context, tx pgx.Tx, attachmentID int64, n NewPool) error {
	_, err := exec(ctx, tx, `insert into pools (attachment_id, port, verifier) values ($1, $2, $3)`, attachmentID, n.Port, n.Verifier)
	return err
}

// SetPoolRemoved gives a pool's port back. Nothing of it may run any more.
func SetPoolRemoved(ctx context.Context, q Querier, id int64, at time.Time) error {
	_, err := exec(ctx, q, `update pools set removed_at = $2 where id = $1 and removed_at is null`, id, at)
	return err
}

// RemovedPools are those of the ids whose pools are removed, in order.
func RemovedPools(ctx context.Context, q Querier, ids []int64) ([]int64, error) {
	rows, err := q.Query(ctx, `select id from pools where id = any($1) and removed_at is not null order by id`, ids)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// movePool lets the app's pool of the default name lead to another database,
// where it led to the one before; others stay (specification 3b). A database of
// another origin has another role, and the pool knows it by verifier; without
// one the pool stays where it is.
func movePool(ctx context.Context, tx pgx.Tx, appID, from, to int64, verifier string) error {
	_, err := exec(ctx, tx, `with moved as (update attachments t set database_id = $3
		from pools l, databases old, databases new join servers v on v.id = new.server_id
		where l.attachment_id = t.id and t.app_id = $1 and t.database_id = $2 and t.name = $4 and old.id = $2 and new.id = $3
			and v.database_id is not null
			and ((old.role_name, old.database_name) = (new.role_name, new.database_name) or $5 <> '')
		returning t.id)
		update pools set verifier = case when $5 <> '' then $5 else verifier end where attachment_id in (select id from moved)`,
		appID, from, to, platform.PoolAttachment, verifier)
	return err
}
