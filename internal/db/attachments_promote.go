package db

import (
	"context"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Promotion makes a database an app's DATABASE_URL.
type Promotion struct {
	AppID       int64
	DatabaseID  int64
	Actor       string
	OperationID *int64
	// Verifier is the SCRAM verifier of the database's role, as its server has it:
	// what the app's connection pool needs in order to lead there, where the
	// database is not a copy of the one before.
	Verifier string
}

// Promoted is what a promotion changed.
type Promoted struct {
	// Release is zero when the database was the app's DATABASE_URL already.
	Release platform.Release
	// Old is the attachment under which the database before stays on the app;
	// nil when there was none, or nothing changed.
	Old *platform.Attachment
}

// PromoteAttachment moves DATABASE to another database in one release. The
// database before keeps another name on the app: one that it has, or else a
// colour made now. A connection pool of the default name moves along. Run again,
// it changes nothing. A follower and a fenced
// database are Conflict, and so is an app with a DATABASE_URL of its own.
func PromoteAttachment(ctx context.Context, tx pgx.Tx, p Promotion) (Promoted, error) {
	app, err := lockApp(ctx, tx, p.AppID)
	if err != nil {
		return Promoted{}, err
	}
	d, err := attachable(ctx, tx, p.DatabaseID)
	if err != nil {
		return Promoted{}, err
	}
	before, had, err := PrimaryAttachment(ctx, tx, p.AppID)
	if err != nil {
		return Promoted{}, err
	}
	if had && before.DatabaseID == p.DatabaseID {
		return Promoted{}, nil
	}
	if err := refuseReadOnly(d, app.Name); err != nil {
		return Promoted{}, err
	}
	var done Promoted
	if had {
		if done.Old, err = keepUnderOtherName(ctx, tx, before); err != nil {
			return Promoted{}, err
		}
		if _, err := exec(ctx, tx, `with gone as (delete from attachments where id = $1 returning database_id)
			select pg_notify('live', 'database:' || database_id) from gone`, before.ID); err != nil {
			return Promoted{}, err
		}
	}
	taken, err := takenNames(ctx, tx, p.AppID)
	if err != nil {
		return Promoted{}, err
	}
	if taken[platform.PrimaryAttachment] {
		return Promoted{}, platform.Conflict("%s has a config var DATABASE_URL of its own. Remove it, then promote %s.", app.Name, d.Name)
	}
	if _, err := insertAttachment(ctx, tx, p.AppID, p.DatabaseID, platform.PrimaryAttachment); err != nil {
		return Promoted{}, err
	}
	if had {
		if err := movePool(ctx, tx, p.AppID, before.DatabaseID, p.DatabaseID, p.Verifier); err != nil {
			return Promoted{}, err
		}
	}
	done.Release, err = CreateRelease(ctx, tx, p.AppID, "Promote "+d.Name+" to DATABASE", p.Actor, p.OperationID)
	return done, err
}

// keepUnderOtherName finds, or makes, a second name for the app's DATABASE.
func keepUnderOtherName(ctx context.Context, tx pgx.Tx, primary platform.Attachment) (*platform.Attachment, error) {
	others, err := many[platform.Attachment](ctx, tx, `select `+attachmentColumns+fromAttachments+
		`where t.app_id = $1 and t.database_id = $2 and t.id <> $3 and l.id is null order by t.name limit 1`, primary.AppID, primary.DatabaseID, primary.ID)
	if err != nil {
		return nil, err
	}
	if len(others) == 1 {
		return &others[0], nil
	}
	taken, err := takenNames(ctx, tx, primary.AppID)
	if err != nil {
		return nil, err
	}
	t, err := insertAttachment(ctx, tx, primary.AppID, primary.DatabaseID, platform.ColorAttachment(taken))
	return &t, err
}
