package jobs

import (
	"context"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// claimFollowers takes every follower of the database, on whatever app, so that
// no other operation moves one while their leader changes. It waits for those
// that do, as long as the maintenance may still begin.
func (u *upgrader) claimFollowers(ctx context.Context) error {
	var moves []db.FollowerMove
	err := u.InTx(ctx, func(tx pgx.Tx) error {
		followers, err := db.Followers(ctx, tx, u.old.Database.ID)
		if err != nil {
			return err
		}
		var ids []int64
		for _, f := range followers {
			ids = append(ids, f.ID)
		}
		if err := db.ClaimAlso(ctx, tx, u.Operation, ids); err != nil {
			return err
		}
		if err := db.ForgetFollowerMoves(ctx, tx, u.Operation.ID); err != nil {
			return err
		}
		for _, f := range followers {
			move := db.FollowerMove{OperationID: u.Operation.ID, DatabaseID: f.ID, State: db.FollowerWaiting, Detail: "It follows the old server until the switch"}
			if err := db.SaveFollowerMove(ctx, tx, move); err != nil {
				return err
			}
			moves = append(moves, move)
		}
		return nil
	})
	if platform.KindOf(err) == platform.KindConflict {
		if at := u.maintenance.ScheduledAt; at != nil && !u.j.Now().Before(at.Add(platform.WindowLength)) {
			return workflow.Abort("Its four hours passed while it waited for a follower. %s", err)
		}
		return workflow.Wait(2*time.Second, "A follower is not free: %s", err)
	}
	if err != nil {
		return err
	}
	return u.wantSlots(ctx, moves)
}

// giveFollowersBack undoes claimFollowers.
func (u *upgrader) giveFollowersBack(ctx context.Context) error {
	return u.InTx(ctx, func(tx pgx.Tx) error {
		if err := db.ForgetFollowerMoves(ctx, tx, u.Operation.ID); err != nil {
			return err
		}
		return db.GiveBackOtherClaims(ctx, tx, u.Operation)
	})
}
