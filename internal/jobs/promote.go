package jobs

import (
	"context"
	"fmt"
	"slices"

	"changeover/internal/db"
	"changeover/internal/jobs/workflow"
	"changeover/internal/platform"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// promote makes a database an app's DATABASE_URL; never one that takes no writes.
var promote = []workflow.Step[*promoter]{
	{Name: "check_writable", Title: "Check that it takes writes", Do: (*promoter).checkWritable},
	{Name: "attach", Title: "Set DATABASE_URL", Do: (*promoter).attach},
}

type promoter struct {
	*workflow.Attempt
	j   *Jobs
	it  place
	app platform.App
}

func (j *Jobs) newPromoter(ctx context.Context, a *workflow.Attempt) (*promoter, error) {
	it, err := j.place(ctx, j.Pool, a.Operation.DatabaseID)
	if err != nil {
		return nil, err
	}
	if a.Operation.AppID == nil {
		return nil, fmt.Errorf("promotion %d names no app", a.Operation.ID)
	}
	app, err := db.AppByID(ctx, j.Pool, *a.Operation.AppID)
	return &promoter{a, j, it, app}, err
}

func (p *promoter) checkWritable(ctx context.Context) error {
	return p.j.withConn(ctx, p.it, func(conn *pgx.Conn) error {
		if err := postgres.WriteOnce(ctx, conn); err != nil {
			return workflow.Abort("%s takes no write now (%v). Unfollow or unfence it first, then promote it.", p.it.Database.Name, err)
		}
		p.Detail("A write is accepted")
		return nil
	})
}

func (p *promoter) attach(ctx context.Context) error {
	attachments, err := db.AttachmentsOfApp(ctx, p.j.Pool, p.app.ID)
	if err != nil {
		return err
	}
	pooled := slices.ContainsFunc(attachments, func(t platform.Attachment) bool { return t.IsPooled() && t.Name == platform.PoolAttachment })
	verifier := ""
	if pooled && p.j.PoolRefusal(p.it.Database) == nil {
		if verifier, err = p.j.poolVerifier(ctx, p.it.Database.ID); err != nil {
			return err
		}
	}
	return p.InTx(ctx, func(tx pgx.Tx) error {
		promoted, err := db.PromoteAttachment(ctx, tx, db.Promotion{AppID: p.app.ID, DatabaseID: p.it.Database.ID, Actor: p.Operation.RequestedBy, OperationID: &p.Operation.ID, Verifier: verifier})
		if err == nil && promoted.Release.Number > 0 {
			p.Detail("Release v%d of %s", promoted.Release.Number, p.app.Name)
		}
		return err
	})
}

func (p *promoter) ended(ctx context.Context, tx pgx.Tx, state platform.OperationState) error {
	if state == platform.OperationUndone {
		return notify(ctx, tx, p.Attempt, platform.NoticePromoteFailed, "Not promoted: "+p.it.Database.Name,
			fmt.Sprintf("DATABASE_URL of %s is as it was.\n\nWhy. %s", p.app.Name, p.Reason()))
	}
	return notify(ctx, tx, p.Attempt, platform.NoticePromoted, "Promoted: "+p.it.Database.Name,
		fmt.Sprintf("%s is the DATABASE_URL of %s now.", p.it.Database.Name, p.app.Name))
}
