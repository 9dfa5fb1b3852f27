package db

import (
	"context"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

const attachmentColumns = `t.id, t.app_id, a.name as app_name, t.database_id, d.name as database_name, t.name, t.created_at, l.id as pool_id, coalesce(l.port, 0) as pool_port`

const fromAttachments = ` from attachments t join apps a on a.id = t.app_id join databases d on d.id = t.database_id left join pools l on l.attachment_id = t.id `

// AttachmentsOfApp is the app's attachments, DATABASE first, then by name.
func AttachmentsOfApp(ctx context.Context, q Querier, appID int64) ([]platform.Attachment, error) {
	return many[platform.Attachment](ctx, q, `select `+attachmentColumns+fromAttachments+
		`where t.app_id = $1 order by t.name <> 'DATABASE', t.name`, appID)
}

// AttachmentsOfDatabase is the database's attachments by app and name.
func AttachmentsOfDatabase(ctx context.Context, q Querier, databaseID int64) ([]platform.Attachment, error) {
	return many[platform.Attachment](ctx, q, `select `+attachmentColumns+fromAttachments+
		`where t.database_id = $1 order by a.name, t.name <> 'DATABASE', t.name`, databaseID)
}

// AttachmentByID is NotFound for one that was detached.
func AttachmentByID(ctx context.Context, q Querier, id int64) (platform.Attachment, error) {
	return one[platform.Attachment](ctx, q, noAttachment(), `select `+attachmentColumns+fromAttachments+`where t.id = $1`, id)
}

// PrimaryAttachment is the app's DATABASE; ok is false when it has none.
func PrimaryAttachment(ctx context.Context, q Querier, appID int64) (t platform.Attachment, ok bool, err error) {
	list, err := many[platform.Attachment](ctx, q, `select `+attachmentColumns+fromAttachments+
		`where t.app_id = $1 and t.name = 'DATABASE'`, appID)
	if err != nil || len(list) == 0 {
		return t, false, err
	}
	return list[0], true, nil
}

// NewAttachment asks for a database under a name on an app. Without a Name it
// gets a free colour; with FirstIsPrimary it gets DATABASE where that is free.
type NewAttachment struct {
	AppID          int64
	DatabaseID     int64
	Name           string
	FirstIsPrimary bool
	// Pool makes it a connection pool attachment.
	Pool        *NewPool
	Actor       string
	OperationID *int64
}

// Attach makes an attachment and a release. A name that is taken, by another
// attachment or by a stored config var, is Conflict at field "name"; so is
// DATABASE for a database that takes no writes. A second attachment made by the
// same operation for the same app and database is the first one: a step may
// run twice.
func Attach(ctx context.Context, tx pgx.Tx, n NewAttachment) (platform.Attachment, error) {
	if n.Name != "" {
		if err := platform.CheckAttachmentName("name", n.Name); err != nil {
			return platform.Attachment{}, err
		}
	}
	app, err := lockApp(ctx, tx, n.AppID)
	if err != nil {
		return platform.Attachment{}, err
	}
	d, err := attachable(ctx, tx, n.DatabaseID)
	if err != nil {
		return platform.Attachment{}, err
	}
	if again, ok, err := attachedBy(ctx, tx, n); err != nil || ok {
		return again, err
	}
	taken, err := takenNames(ctx, tx, n.AppID)
	if err != nil {
		return platform.Attachment{}, err
	}
	switch {
	case n.Pool != nil && n.Name == platform.PrimaryAttachment:
		e := platform.Conflict("DATABASE is the database itself. Choose another name for its connection pool, such as %s.", platform.PoolAttachment)
		e.Field = "name"
		return platform.Attachment{}, e
	case n.Name == "" && n.FirstIsPrimary && !taken[platform.PrimaryAttachment]:
		n.Name = platform.PrimaryAttachment
	case n.Name == "":
		n.Name = platform.ColorAttachment(taken)
	case taken[n.Name]:
		e := platform.Conflict("%s already has %s_URL. Choose another name for the attachment.", app.Name, n.Name)
		e.Field = "name"
		return platform.Attachment{}, e
	}
	if n.Name == platform.PrimaryAttachment {
		if err := refuseReadOnly(d, app.Name); err != nil {
			return platform.Attachment{}, err
		}
	}
	t, err := insertAttachment(ctx, tx, n.AppID, n.DatabaseID, n.Name)
	if err != nil {
		return platform.Attachment{}, err
	}
	if n.Pool != nil {
		if err := insertPool(ctx, tx, t.ID, *n.Pool); err != nil {
			return platform.Attachment{}, err
		}
		if t, err = AttachmentByID(ctx, tx, t.ID); err != nil {
			return platform.Attachment{}, err
		}
	}
	_, err = CreateRelease(ctx, tx, n.AppID, "Attach "+d.Name+" as "+n.Name, n.Actor, n.OperationID)
	return t, err
}

func attachable(ctx context.Context, tx pgx.Tx, databaseID int64) (platform.Database, error) {
	d, err := DatabaseByID(ctx, tx, databaseID)
	if err != nil {
		return d, err
	}
	if d.State == platform.DatabaseDestroying || d.State == platform.DatabaseDestroyed {
		return d, platform.Conflict("%s is %s and cannot be attached. Choose another database.", d.Name, d.State)
	}
	return d, nil
}

// attachedBy finds what an earlier run of the same step attached.
func attachedBy(ctx context.Context, tx pgx.Tx, n NewAttachment) (platform.Attachment, bool, error) {
	if n.OperationID == nil {
		return platform.Attachment{}, false, nil
	}
	list, err := many[platform.Attachment](ctx, tx, `select `+attachmentColumns+fromAttachments+`
		where t.app_id = $1 and t.database_id = $2 and ($3 = '' or t.name = $3)
			and exists (select from releases r where r.app_id = t.app_id and r.operation_id = $4
				and r.description = 'Attach ' || d.name || ' as ' || t.name)
		order by t.id limit 1`, n.AppID, n.DatabaseID, n.Name, *n.OperationID)
	if err != nil || len(list) == 0 {
		return platform.Attachment{}, false, err
	}
	return list[0], true, nil
}

// takenNames holds every attachment name that would set a config var which the
// app has already, by an attachment or by itself.
func takenNames(ctx context.Context, tx pgx.Tx, appID int64) (map[string]bool, error) {
	names, err := value[[]string](ctx, tx, nil, `select coalesce(array_agg(name), '{}') from (
		select name from attachments where app_id = $1
		union select left(name, -4) from config_vars where app_id = $1 and name like '%\_URL') n`, appID)
	taken := make(map[string]bool, len(names))
	for _, n := range names {
		taken[n] = true
	}
	return taken, err
}

func insertAttachment(ctx context.Context, tx pgx.Tx, appID, databaseID int64, name string) (platform.Attachment, error) {
	return one[platform.Attachment](ctx, tx, nil, `with t as (
			insert into attachments (app_id, database_id, name) values ($1, $2, $3) returning *)
		select `+attachmentColumns+` from t join apps a on a.id = t.app_id join databases d on d.id = t.database_id left join pools l on l.attachment_id = t.id,
			pg_notify('live', 'app:' || $1::bigint) told_app, pg_notify('live', 'database:' || $2::bigint) told_database,
			pg_notify('live', 'reach:' || $2::bigint) told_reach`, appID, databaseID, name)
}

// refuseReadOnly keeps an app from having a DATABASE_URL that takes no writes.
func refuseReadOnly(d platform.Database, appName string) error {
	var e *platform.Error
	switch {
	case d.FollowingID != nil:
		e = platform.Conflict("%s is still a follower and takes no writes, so it cannot be the DATABASE_URL of %s. Unfollow it first.", d.Name, appName)
	case d.State == platform.DatabaseFenced:
		e = platform.Conflict("%s is fenced and takes no writes, so it cannot be the DATABASE_URL of %s. Unfence it first.", d.Name, appName)
	default:
		return nil
	}
	e.Field = "name"
	return e
}

// Detach removes an attachment and makes a release. The last one of a database
// may go, and so may DATABASE: the app then has no DATABASE_URL. One that is
// gone already is NotFound.
func Detach(ctx context.Context, tx pgx.Tx, attachmentID int64, actor string, operationID *int64) (platform.Release, error) {
	t, err := AttachmentByID(ctx, tx, attachmentID)
	if err != nil {
		return platform.Release{}, err
	}
	if _, err := lockApp(ctx, tx, t.AppID); err != nil {
		return platform.Release{}, err
	}
	err = mustTouch(ctx, tx, noAttachment(), `with gone as (delete from attachments where id = $1 returning app_id, database_id)
		select pg_notify('live', 'app:' || app_id), pg_notify('live', 'database:' || database_id), pg_notify('live', 'reach:' || database_id)
		from gone`, attachmentID)
	if err != nil {
		return platform.Release{}, err
	}
	return CreateRelease(ctx, tx, t.AppID, "Detach "+t.DatabaseName+" from "+t.Name, actor, operationID)
}

// DetachAll detaches the database from every app, as when it is destroyed,
// with one release an app. It may run again.
func DetachAll(ctx context.Context, tx pgx.Tx, databaseID int64, actor string, operationID *int64) error {
	// By app id, so that two of these never wait for each other's app.
	list, err := many[platform.Attachment](ctx, tx, `select `+attachmentColumns+fromAttachments+
		`where t.database_id = $1 order by t.app_id, t.name`, databaseID)
	if err != nil {
		return err
	}
	for _, t := range list {
		if _, err := Detach(ctx, tx, t.ID, actor, operationID); err != nil {
			return err
		}
	}
	return nil
}

func noAttachment() error {
	return platform.NotFound("The attachment does not exist any more. Reload the page.")
}
