package db

import (
	"context"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// LeadPool makes a connection pool attachment that stayed with a database lead
// to the one that took its place, with a release of its app. Its URL stays. What
// did not take the place is Conflict: another role or database there would make
// another URL.
func LeadPool(ctx context.Context, tx pgx.Tx, attachmentID int64, actor string) (platform.Attachment, error) {
	t, err := AttachmentByID(ctx, tx, attachmentID)
	if err != nil {
		return t, err
	}
	app, err := lockApp(ctx, tx, t.AppID)
	if err != nil {
		return t, err
	}
	if !t.IsPooled() {
		return t, platform.Conflict("%s of %s does not go through a connection pool. Promote the other database instead.", t.Name, app.Name)
	}
	from, err := DatabaseByID(ctx, tx, t.DatabaseID)
	if err != nil {
		return t, err
	}
	if from.ReplacedByID == nil {
		return t, platform.Conflict("No other database has taken the place of %s, so its connection pools stay with it.", from.Name)
	}
	to, err := attachable(ctx, tx, *from.ReplacedByID)
	if err != nil {
		return t, err
	}
	for _, d := range []platform.Database{from, to} {
		if err := RefuseClaimed(ctx, tx, d.ID); err != nil {
			return t, err
		}
	}
	if to.DatabaseName != from.DatabaseName || to.RoleName != from.RoleName {
		return t, platform.Conflict("%s has another role than %s, so the pool's URL could not stay. Detach the pool and attach a new one.", to.Name, from.Name)
	}
	if err := refuseReadOnly(to, app.Name); err != nil {
		return t, err
	}
	err = mustTouch(ctx, tx, noAttachment(), `with moved as (update attachments set database_id = $2 where id = $1 returning app_id)
		select pg_notify('live', 'app:' || app_id), pg_notify('live', 'database:' || $2::bigint), pg_notify('live', 'database:' || $3::bigint),
			pg_notify('live', 'reach:' || $2::bigint), pg_notify('live', 'reach:' || $3::bigint), pg_notify('live', 'pool:' || $4::bigint)
		from moved`, t.ID, to.ID, from.ID, *t.PoolID)
	if err != nil {
		return t, err
	}
	if _, err := CreateRelease(ctx, tx, t.AppID, "Lead "+t.Name+" to "+to.Name, actor, nil); err != nil {
		return t, err
	}
	return AttachmentByID(ctx, tx, t.ID)
}
