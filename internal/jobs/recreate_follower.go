package jobs

import (
	"context"
	"fmt"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// recreateFollower makes a follower anew and puts it in the broken one's place,
// under its name, attachments and config vars.
var recreateFollower = []workflow.Step[*recreator]{
	{Name: "check", Title: "Check before starting", Do: (*recreator).check},
	{Name: "reserve_server", Title: "Reserve a port and a place on disk", Do: (*recreator).reserveReplacement, Undo: (*recreator).discardReplacement},
	{Name: "copy_leader", Title: "Copy the leader", Do: (*recreator).copyLeader},
	{Name: "start_follower", Title: "Start the follower", Do: (*recreator).startFollower},
	{Name: "wait_until_caught_up", Title: "Wait until it has caught up", Do: (*recreator).caughtUp},
	{Name: "take_place", Title: "Put it in the old one's place", NoReturn: true, Do: (*recreator).takePlace},
	{Name: "remove_old_server", Title: "Remove the old one", Do: (*recreator).removeOldServer},
}

type recreator struct {
	*followerMaker
	old place
}

func (j *Jobs) newRecreator(ctx context.Context, a *workflow.Attempt) (*recreator, error) {
	d, err := db.DatabaseByID(ctx, j.Pool, a.Operation.DatabaseID)
	if err != nil {
		return nil, err
	}
	if d.FollowingID == nil {
		return nil, fmt.Errorf("%s follows nothing", d.Name)
	}
	leader, err := j.place(ctx, j.Pool, *d.FollowingID)
	if err != nil {
		return nil, err
	}
	maker, err := j.newReplacementMaker(ctx, a, d, leader)
	if err != nil {
		return nil, err
	}
	old, err := j.on(ctx, j.Pool, place{Database: d}, maker.replaces.OldServerID)
	return &recreator{maker, old}, err
}

func (r *recreator) check(ctx context.Context) error {
	facts, err := r.j.readFacts(ctx, r.leader)
	if err != nil {
		return err
	}
	if facts.InRecovery {
		return workflow.Abort("%s is in recovery, so it cannot be followed. Look at its page for why.", r.leader.Database.Name)
	}
	if r.it.Plan.StorageBytes < facts.DataBytes {
		return workflow.Abort("%s holds %s and the data is %s. Choose a larger plan.", r.it.Plan.Name, platform.Bytes(r.it.Plan.StorageBytes), platform.Bytes(facts.DataBytes))
	}
	r.Detail("%s of data, %s holds %s", platform.Bytes(facts.DataBytes), r.it.Plan.Name, platform.Bytes(r.it.Plan.StorageBytes))
	return nil
}

func (r *recreator) takePlace(ctx context.Context) error {
	d := r.it.Database
	return r.InTx(ctx, func(tx pgx.Tx) error {
		if err := db.SetDatabaseServer(ctx, tx, d.ID, &r.it.Server.ID); err != nil {
			return err
		}
		if err := db.SetDatabaseReadable(ctx, tx, d.ID); err != nil {
			return err
		}
		if err := db.SetDatabasePlan(ctx, tx, d.ID, r.it.Plan.Name); err != nil {
			return err
		}
		if err := db.ChangeBilledPlan(ctx, tx, d.ID, r.it.Plan); err != nil {
			return err
		}
		if err := db.SetServerState(ctx, tx, r.old.Server.ID, platform.ServerStopped); err != nil {
			return err
		}
		release, err := db.ReleaseMoved(ctx, tx, d.ID, d.AppID, "Re-create "+d.Name, r.Operation.RequestedBy, r.Operation.ID)
		if err == nil && release > 0 {
			r.Detail("Release v%d of %s", release, d.AppName)
		}
		return err
	})
}

func (r *recreator) removeOldServer(ctx context.Context) error {
	if err := r.j.Engine.Destroy(ctx, r.Epoch, r.old.Server); err != nil {
		return err
	}
	if err := r.j.dropSlot(ctx, r.Epoch, r.leader, r.old.slot()); err != nil {
		return err
	}
	r.Detail("Port %d is free again", r.old.Server.Port)
	return r.InTx(ctx, func(tx pgx.Tx) error { return db.SetServerDestroyed(ctx, tx, r.old.Server.ID) })
}

func (r *recreator) ended(ctx context.Context, tx pgx.Tx, state platform.OperationState) error {
	d, leader := r.it.Database, r.leader.Database
	if state == platform.OperationUndone {
		return notify(ctx, tx, r.Attempt, platform.NoticeFollowerNotRecreated, "Not made anew: follower "+d.Name,
			fmt.Sprintf("The follower %s of %s could not be made anew, and is as it was.\n\nWhy. %s\n\nWhat to do. When the reason is gone, re-create it from its page.", d.Name, leader.Name, r.Reason()))
	}
	cost := ""
	if r.it.Plan.Name != d.Plan {
		cost = fmt.Sprintf("\n\nWhat it costs. It is on %s now, since %s no longer holds the data: %s.", r.it.Plan.Name, d.Plan, r.it.Plan.Price())
	}
	return notify(ctx, tx, r.Attempt, platform.NoticeFollowerRecreated, "Made anew: follower "+d.Name,
		fmt.Sprintf("%s follows %s again, from a new copy. Its name and its attachments are the same; its config vars point to the new server.%s", d.Name, leader.Name, cost))
}

// StartRecreateFollower makes a follower anew that no longer follows, on its own
// plan or on another; "" is its own.
func (j *Jobs) StartRecreateFollower(ctx context.Context, actor string, followerID int64, planName string) (platform.Operation, error) {
	return j.begin(ctx, func(tx pgx.Tx) (platform.Operation, error) {
		leader, d, err := lockPair(ctx, tx, followerID)
		if err != nil {
			return platform.Operation{}, err
		}
		if planName == "" {
			planName = d.Plan
		}
		plan, err := j.Catalogue.Plan(planName)
		if err != nil {
			return platform.Operation{}, err
		}
		if err := db.RefuseClaimed(ctx, tx, leader.ID); err != nil {
			return platform.Operation{}, err
		}
		if leader.State != platform.DatabaseAvailable {
			return platform.Operation{}, platform.Conflict("%s, which it follows, is %s and cannot be copied.", leader.Name, leader.State)
		}
		leaderPlan, err := j.Catalogue.Plan(leader.Plan)
		if err != nil {
			return platform.Operation{}, err
		}
		reading, err := db.ReadingOf(ctx, tx, leader.ID)
		if err != nil {
			return platform.Operation{}, err
		}
		if err := j.Catalogue.FollowerPlan(leaderPlan, plan, reading.DataBytes); err != nil {
			return platform.Operation{}, err
		}
		return j.startRecreation(ctx, tx, actor, d, *d.ServerID, plan)
	})
}

// lockPair holds the rows of a follower and its leader, the leader's first as in
// a changeover: two that hold one each would wait for each other.
func lockPair(ctx context.Context, tx pgx.Tx, followerID int64) (leader, d platform.Database, err error) {
	if d, err = db.DatabaseByID(ctx, tx, followerID); err != nil {
		return leader, d, err
	}
	follows := d.FollowingID
	if follows != nil {
		if leader, err = db.LockDatabase(ctx, tx, *follows); err != nil {
			return leader, d, err
		}
	}
	if d, err = db.LockDatabase(ctx, tx, followerID); err != nil {
		return leader, d, err
	}
	if follows == nil || d.FollowingID == nil || *d.FollowingID != *follows || d.ServerID == nil || d.State != platform.DatabaseAvailable {
		err = platform.Conflict("%s is not a follower that is available, so there is nothing to make anew.", d.Name)
	}
	return leader, d, err
}

func (j *Jobs) startRecreation(ctx context.Context, tx pgx.Tx, actor string, d platform.Database, serverID int64, plan platform.Plan) (platform.Operation, error) {
	op, err := j.start(ctx, tx, db.NewOperation{Kind: platform.RecreateFollower, DatabaseID: d.ID, AppID: &d.AppID, RequestedBy: actor})
	if err != nil {
		return op, err
	}
	return op, db.InsertReplacement(ctx, tx, db.Replacement{OperationID: op.ID, DatabaseID: d.ID, Plan: plan.Name, OldServerID: serverID})
}
