package jobs

import (
	"context"
	"slices"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// start checks, claims, inserts the operation with its steps and its job: all
// in one transaction, so that there is never one without the others.
func (j *Jobs) start(ctx context.Context, tx pgx.Tx, n db.NewOperation) (platform.Operation, error) {
	for _, step := range j.procedures[n.Kind].Infos() {
		n.StepNames = append(n.StepNames, step.Name)
	}
	op, err := db.InsertOperation(ctx, tx, n)
	if err != nil {
		return op, err
	}
	_, err = j.river.InsertTx(ctx, tx, operationArgs{OperationID: op.ID}, nil)
	return op, err
}

// begin runs fn in the transaction that starts an operation.
func (j *Jobs) begin(ctx context.Context, fn func(pgx.Tx) (platform.Operation, error)) (op platform.Operation, err error) {
	err = db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
		op, err = fn(tx)
		return err
	})
	return op, err
}

// StartCreateDatabase makes a new leader for an app. The database is there at
// once, in state creating. A plan that is unknown and a major that is not
// installed are Invalid.
func (j *Jobs) StartCreateDatabase(ctx context.Context, actor string, appID int64, planName string, major int) (platform.Operation, error) {
	plan, err := j.Catalogue.Plan(planName)
	if err != nil {
		return platform.Operation{}, err
	}
	if err := j.installed(major); err != nil {
		return platform.Operation{}, err
	}
	if err := j.roomFor(j.Engine.Zones()[0], 64<<20); err != nil {
		return platform.Operation{}, err
	}
	return j.begin(ctx, func(tx pgx.Tx) (platform.Operation, error) {
		d, err := db.CreateDatabase(ctx, tx, j.Sealer, db.NewDatabase{AppID: appID, Plan: plan.Name, Major: major})
		if err != nil {
			return platform.Operation{}, err
		}
		kind := platform.CreateDatabase
		if plan.Tier.IsShared {
			kind = platform.CreateEssential
		}
		return j.start(ctx, tx, db.NewOperation{Kind: kind, DatabaseID: d.ID, AppID: &appID, RequestedBy: actor})
	})
}

func (j *Jobs) installed(major int) error {
	for _, i := range j.Engine.Installations() {
		if i.Major == major {
			return nil
		}
	}
	return platform.Invalid("major", "PostgreSQL %d is not installed on this machine. Choose one of the versions listed, or install it and restart Changeover.", major)
}

// StartCreateFollower makes a follower of a leader, billed and attached to an
// app, in the zone that somebody chose; with "" in another than the leader's
// wherever there is one.
func (j *Jobs) StartCreateFollower(ctx context.Context, actor string, leaderID, appID int64, planName, zone string) (platform.Operation, error) {
	if zone != "" && !slices.Contains(j.Engine.Zones(), zone) {
		return platform.Operation{}, platform.Invalid("zone", "There is no zone %q. Choose one from the list, or leave it to the rule: away from the leader.", zone)
	}
	return j.begin(ctx, func(tx pgx.Tx) (platform.Operation, error) {
		follower, err := j.newFollowerRow(ctx, tx, leaderID, appID, planName)
		if err == nil && zone != "" {
			err = db.SetWantedZone(ctx, tx, follower.ID, zone)
		}
		if err != nil {
			return platform.Operation{}, err
		}
		return j.start(ctx, tx, db.NewOperation{Kind: platform.CreateFollower, DatabaseID: follower.ID, AppID: &appID, RequestedBy: actor})
	})
}

// newFollowerRow applies the rules of spec 4 and inserts the follower.
func (j *Jobs) newFollowerRow(ctx context.Context, tx pgx.Tx, leaderID, appID int64, planName string) (platform.Database, error) {
	leader, err := db.LockDatabase(ctx, tx, leaderID)
	if err != nil {
		return leader, err
	}
	// Not while another server is put in its place: a copy of the old one would be of no use.
	if err := db.RefuseClaimed(ctx, tx, leaderID); err != nil {
		return leader, err
	}
	leaderPlan, err := j.Catalogue.Plan(leader.Plan)
	if err != nil {
		return leader, err
	}
	if err := platform.CanFollow(leader, leaderPlan, time.Now()); err != nil {
		return leader, err
	}
	plan, err := j.Catalogue.Plan(planName)
	if err != nil {
		return leader, err
	}
	reading, err := db.ReadingOf(ctx, tx, leaderID)
	if err != nil {
		return leader, err
	}
	if err := j.Catalogue.FollowerPlan(leaderPlan, plan, reading.DataBytes); err != nil {
		return leader, err
	}
	server, err := db.ServerOf(ctx, tx, leaderID)
	if err != nil {
		return leader, err
	}
	if err := j.roomFor(j.zoneAwayFrom(server.Zone), reading.DataBytes); err != nil {
		return leader, err
	}
	return db.CreateFollower(ctx, tx, j.Sealer, leader, appID, plan.Name)
}

// Changeover is what a follower changeover is asked for: with FollowerID an
// existing follower takes over, else a new one on Plan is made first.
type Changeover struct {
	LeaderID      int64
	FollowerID    *int64
	Plan          string
	ConfirmedJobs bool // scheduled jobs that write are stopped
}

// StartChangeover begins a follower changeover.
func (j *Jobs) StartChangeover(ctx context.Context, actor string, c Changeover) (platform.Operation, error) {
	if !c.ConfirmedJobs {
		return platform.Operation{}, platform.Invalid("confirm_jobs", "Confirm that scheduled jobs that write to this database are stopped: they would fail while writes are refused.")
	}
	return j.begin(ctx, func(tx pgx.Tx) (platform.Operation, error) {
		leader, err := db.LockDatabase(ctx, tx, c.LeaderID)
		if err != nil {
			return platform.Operation{}, err
		}
		if err := j.refuseEssential(leader, "changed over"); err != nil {
			return platform.Operation{}, err
		}
		if leader.State != platform.DatabaseAvailable || leader.IsFollower() {
			return platform.Operation{}, platform.Conflict("%s is not a leader that is available, so there is nothing to change over from. Choose the app's leader.", leader.Name)
		}
		var follower platform.Database
		if c.FollowerID != nil {
			follower, err = db.LockDatabase(ctx, tx, *c.FollowerID)
			if err == nil {
				err = canTakeOver(leader, follower)
			}
		} else {
			follower, err = j.newFollowerRow(ctx, tx, leader.ID, leader.AppID, c.Plan)
		}
		if err != nil {
			return platform.Operation{}, err
		}
		op, err := j.start(ctx, tx, db.NewOperation{Kind: platform.FollowerChangeover, DatabaseID: leader.ID, TargetID: &follower.ID, AppID: &leader.AppID, RequestedBy: actor})
		if err != nil {
			return op, err
		}
		return op, db.InsertChangeover(ctx, tx, op.ID, c.FollowerID == nil, c.ConfirmedJobs)
	})
}

// refuseEssential says what an Essential database cannot be, and the way there is.
func (j *Jobs) refuseEssential(d platform.Database, what string) error {
	plan, err := j.Catalogue.Plan(d.Plan)
	if err != nil {
		return err
	}
	if plan.Tier.IsShared {
		return platform.Conflict("%s is on %s, and Essential databases cannot be %s: they have no server of their own. Copy it to a Standard plan or higher first.", d.Name, plan.Name, what)
	}
	return nil
}

func canTakeOver(leader, follower platform.Database) error {
	switch {
	case follower.FollowingID == nil || *follower.FollowingID != leader.ID:
		return platform.Invalid("follower", "%s does not follow %s. Choose one of its followers, or make a new one.", follower.Name, leader.Name)
	case follower.State != platform.DatabaseAvailable || follower.ReadableAt == nil:
		return platform.Invalid("follower", "%s has not caught up yet. Wait until it can be read, then start the changeover.", follower.Name)
	}
	return nil
}

// StartPromote makes a database an app's DATABASE_URL; refused for a follower
// and for a fenced one, which would strand the app on a read-only database.
func (j *Jobs) StartPromote(ctx context.Context, actor string, databaseID, appID int64) (platform.Operation, error) {
	return j.begin(ctx, func(tx pgx.Tx) (platform.Operation, error) {
		d, err := db.LockDatabase(ctx, tx, databaseID)
		if err != nil {
			return platform.Operation{}, err
		}
		switch {
		case d.IsFollower():
			return platform.Operation{}, platform.Conflict("%s is still a follower: as DATABASE_URL it would refuse every write. Unfollow it first, or start a follower changeover, which does both.", d.Name)
		case d.State == platform.DatabaseFenced:
			return platform.Operation{}, platform.Conflict("%s is fenced and would refuse every write. Unfence it first.", d.Name)
		case d.State == platform.DatabaseDestroyed || d.State == platform.DatabaseDestroying:
			return platform.Operation{}, platform.Conflict("%s is destroyed. Choose another database.", d.Name)
		case d.State != platform.DatabaseAvailable:
			return platform.Operation{}, platform.Conflict("%s is %s. Wait until it is available, then promote it.", d.Name, d.State)
		}
		return j.start(ctx, tx, db.NewOperation{Kind: platform.Promote, DatabaseID: d.ID, AppID: &appID, RequestedBy: actor})
	})
}
