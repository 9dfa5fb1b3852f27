package db

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// FollowerMoveState is how far a switch has come with one follower.
type FollowerMoveState string

// The states of a follower in a switch. Following is proven: it streams from
// the new server on its timeline and has replayed what was written there since.
const (
	FollowerWaiting    FollowerMoveState = "waiting"
	FollowerFollowing  FollowerMoveState = "following"
	FollowerRecreating FollowerMoveState = "recreating"
)

// FollowerMove is what a switch does with one of the leader's followers.
type FollowerMove struct {
	OperationID int64
	DatabaseID  int64
	State       FollowerMoveState
	Detail      string
	// RecreationID is the operation that makes it anew; nil where none is needed.
	RecreationID *int64
}

// FollowerMoves are those of an operation, by the follower's id.
func FollowerMoves(ctx context.Context, q Querier, operationID int64) ([]FollowerMove, error) {
	return many[FollowerMove](ctx, q, `select operation_id, database_id, state, detail, recreation_id
		from follower_moves where operation_id = $1 order by database_id`, operationID)
}

// SaveFollowerMove writes the newest state of one.
func SaveFollowerMove(ctx context.Context, tx pgx.Tx, m FollowerMove) error {
	_, err := exec(ctx, tx, `insert into follower_moves (operation_id, database_id, state, detail, recreation_id) values ($1, $2, $3, $4, $5)
		on conflict on constraint follower_moves_pkey do update
		set state = excluded.state, detail = excluded.detail, recreation_id = excluded.recreation_id`,
		m.OperationID, m.DatabaseID, m.State, m.Detail, m.RecreationID)
	return err
}

// ForgetFollowerMoves is for a switch that was put back.
func ForgetFollowerMoves(ctx context.Context, tx pgx.Tx, operationID int64) error {
	_, err := exec(ctx, tx, `delete from follower_moves where operation_id = $1`, operationID)
	return err
}
