package jobs

import (
	"context"
	"fmt"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// unfollow makes a follower writable for good. Its leader goes on as before.
var unfollow = []workflow.Step[*unfollower]{
	{Name: "check", Title: "Check before starting", Do: (*unfollower).check},
	{Name: "unfollow", Title: "Unfollow", NoReturn: true, Do: (*unfollower).unfollow},
	{Name: "check_writable", Title: "Check that it is out of recovery", Do: (*unfollower).checkWritable},
	{Name: "drop_slot", Title: "Drop its slot on the leader", Do: (*unfollower).dropSlot},
}

type unfollower struct {
	*workflow.Attempt
	j      *Jobs
	it     place
	leader place
}

func (j *Jobs) newUnfollower(ctx context.Context, a *workflow.Attempt) (*unfollower, error) {
	it, err := j.place(ctx, j.Pool, a.Operation.DatabaseID)
	if err != nil {
		return nil, err
	}
	leaderID := it.Database.FollowingID
	if leaderID == nil {
		leaderID = it.Database.ForkedFromID // it has been unfollowed by an earlier attempt
	}
	if leaderID == nil {
		return nil, fmt.Errorf("%s follows nothing", it.Database.Name)
	}
	leader, err := j.place(ctx, j.Pool, *leaderID)
	return &unfollower{a, j, it, leader}, err
}

func (u *unfollower) check(ctx context.Context) error {
	return u.j.withConn(ctx, u.it, func(conn *pgx.Conn) error {
		position, err := postgres.FollowerPosition(ctx, conn)
		if err != nil {
			return err
		}
		if position.ReplayPaused {
			return workflow.Abort("The replay of %s is paused, so it would be promoted with old data. Resume it with select pg_wal_replay_resume(), then try again.", u.it.Database.Name)
		}
		u.Detail("It has replayed to %s", position.LSN)
		return nil
	})
}

func (u *unfollower) unfollow(ctx context.Context) error {
	return u.j.withConn(ctx, u.it, func(conn *pgx.Conn) error {
		inRecovery, err := postgres.InRecovery(ctx, conn)
		if err != nil {
			return err
		}
		if inRecovery {
			if err := u.j.Engine.Promote(ctx, u.Epoch, u.it.Server); err != nil {
				return err
			}
		}
		if err := postgres.WaitWritable(ctx, conn); err != nil {
			return err
		}
		u.Detail("It no longer follows %s", u.leader.Database.Name)
		return u.InTx(ctx, func(tx pgx.Tx) error {
			if err := db.SetServerLeader(ctx, tx, u.it.Server.ID, nil); err != nil {
				return err
			}
			return db.SetDatabaseUnfollowed(ctx, tx, u.it.Database.ID)
		})
	})
}

func (u *unfollower) checkWritable(ctx context.Context) error {
	return u.j.withConn(ctx, u.it, func(conn *pgx.Conn) error {
		if err := postgres.WriteOnce(ctx, conn); err != nil {
			return err
		}
		u.Detail("select pg_is_in_recovery() is false, a write is accepted")
		return nil
	})
}

func (u *unfollower) dropSlot(ctx context.Context) error {
	return u.j.dropSlot(ctx, u.Epoch, u.leader, u.it.slot())
}

func (u *unfollower) ended(ctx context.Context, tx pgx.Tx, state platform.OperationState) error {
	it, leader := u.it.Database, u.leader.Database
	if state == platform.OperationUndone {
		return notify(ctx, tx, u.Attempt, platform.NoticeUnfollowFailed, "Not unfollowed: "+it.Name,
			fmt.Sprintf("%s still follows %s.\n\nWhy. %s", it.Name, leader.Name, u.Reason()))
	}
	return notify(ctx, tx, u.Attempt, platform.NoticeUnfollowed, "Unfollowed: "+it.Name,
		fmt.Sprintf("%s is a fork of %s now: writable, with a life of its own, and billed as before.", it.Name, leader.Name))
}
