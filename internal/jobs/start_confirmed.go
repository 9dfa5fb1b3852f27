package jobs

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// StartUnfollow makes a follower writable for good. confirm is the name of the
// app it is billed to, as typed.
func (j *Jobs) StartUnfollow(ctx context.Context, actor string, databaseID int64, confirm string) (platform.Operation, error) {
	return j.startOn(ctx, actor, platform.Unfollow, databaseID, confirm, func(_ db.Querier, d platform.Database) error {
		if !d.IsFollower() {
			return platform.Conflict("%s follows nothing, so there is nothing to unfollow.", d.Name)
		}
		if d.State != platform.DatabaseAvailable {
			return platform.Conflict("%s is %s. Wait until it is available, then unfollow it.", d.Name, d.State)
		}
		return nil
	})
}

// StartFence makes a leader refuse every write.
func (j *Jobs) StartFence(ctx context.Context, actor string, databaseID int64, confirm string) (platform.Operation, error) {
	return j.startOn(ctx, actor, platform.FenceDatabase, databaseID, confirm, func(_ db.Querier, d platform.Database) error {
		if err := j.refuseEssential(d, "fenced"); err != nil {
			return err
		}
		if d.IsFollower() {
			return platform.Conflict("%s is a follower and takes no writes as it is. Fence its leader instead.", d.Name)
		}
		if d.State != platform.DatabaseAvailable {
			return platform.Conflict("%s is %s, so it cannot be fenced now.", d.Name, d.State)
		}
		return nil
	})
}

// StartUnfence lets a fenced database write again, unless it was replaced.
func (j *Jobs) StartUnfence(ctx context.Context, actor string, databaseID int64, confirm string) (platform.Operation, error) {
	return j.startOn(ctx, actor, platform.UnfenceDatabase, databaseID, confirm, func(_ db.Querier, d platform.Database) error {
		if d.State != platform.DatabaseFenced {
			return platform.Conflict("%s is not fenced.", d.Name)
		}
		return refuseReplaced(d)
	})
}

// StartSeparate makes a database that was replaced a writable fork that no app
// knows: the only way back for it (safety 1.6).
func (j *Jobs) StartSeparate(ctx context.Context, actor string, databaseID int64, confirm string) (platform.Operation, error) {
	return j.startOn(ctx, actor, platform.SeparateDatabase, databaseID, confirm, func(_ db.Querier, d platform.Database) error {
		if d.State != platform.DatabaseFenced || d.ReplacedByID == nil {
			return platform.Conflict("%s was not replaced by another database, so it need not be separated. Unfence it instead.", d.Name)
		}
		return nil
	})
}

// StartDestroy removes a database and its data. One that others depend on is refused.
func (j *Jobs) StartDestroy(ctx context.Context, actor string, databaseID int64, confirm string) (platform.Operation, error) {
	return j.startOn(ctx, actor, platform.DestroyDatabase, databaseID, confirm, func(q db.Querier, d platform.Database) error {
		return canDestroy(ctx, q, d)
	})
}

func canDestroy(ctx context.Context, q db.Querier, d platform.Database) error {
	if d.State == platform.DatabaseDestroyed || d.State == platform.DatabaseDestroying {
		return platform.Conflict("%s is destroyed already.", d.Name)
	}
	followers, err := db.Followers(ctx, q, d.ID)
	if err != nil {
		return err
	}
	if len(followers) == 1 {
		return platform.Conflict("%s has a follower, %s. Unfollow or destroy it first.", d.Name, followers[0].Name)
	}
	if len(followers) > 1 {
		return platform.Conflict("%s has %d followers, the first of them %s. Unfollow or destroy them first.", d.Name, len(followers), followers[0].Name)
	}
	attachments, err := db.AttachmentsOfDatabase(ctx, q, d.ID)
	if err != nil {
		return err
	}
	for _, a := range attachments {
		if a.IsPrimary() {
			return platform.Conflict("%s is the DATABASE_URL of %s. Promote another database there, or turn on maintenance mode of %s and detach this one, then destroy it.", d.Name, a.AppName, a.AppName)
		}
	}
	return nil
}

// startOn starts a confirmed operation on one database.
func (j *Jobs) startOn(ctx context.Context, actor string, kind platform.OperationKind, databaseID int64, confirm string, may func(db.Querier, platform.Database) error) (platform.Operation, error) {
	return j.begin(ctx, func(tx pgx.Tx) (platform.Operation, error) {
		d, err := db.LockDatabase(ctx, tx, databaseID)
		if err != nil {
			return platform.Operation{}, err
		}
		if err := may(tx, d); err != nil {
			return platform.Operation{}, err
		}
		if confirm != d.AppName {
			return platform.Operation{}, platform.Invalid("confirm", "Type %s, the name of the app, to confirm.", d.AppName)
		}
		return j.start(ctx, tx, db.NewOperation{Kind: kind, DatabaseID: d.ID, AppID: &d.AppID, RequestedBy: actor})
	})
}
