package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Person is a user as administrators see one.
type Person struct {
	ID            int64
	Email         string
	Name          string
	IsAdmin       bool
	HasPassword   bool
	CreatedAt     time.Time
	LastSignInAt  *time.Time
	DeactivatedAt *time.Time // nil: may sign in
	DeactivatedBy string
	AppNames      []string // with a role, by name
	AppRoles      []string // of AppNames
	Sessions      int      // rows that were not ended
	Tokens        int
}

// Active is whether the person may sign in.
func (p Person) Active() bool { return p.DeactivatedAt == nil }

const personColumns = `u.id, u.email, u.name, u.is_admin, u.password_hash is not null as has_password, u.created_at, u.last_sign_in_at,
	u.deactivated_at, u.deactivated_by, coalesce(r.app_names, '{}') as app_names, coalesce(r.app_roles, '{}') as app_roles,
	(select count(*) from sessions s where s.user_id = u.id) as sessions, (select count(*) from api_tokens t where t.user_id = u.id) as tokens
	from users u left join lateral (
		select array_agg(a.name order by a.name) as app_names, array_agg(m.role order by a.name) as app_roles
		from app_members m join apps a on a.id = m.app_id where m.user_id = u.id and a.destroyed_at is null) r on true `

// ListPeople is everybody: those who may sign in first, by address.
func ListPeople(ctx context.Context, q Querier) ([]Person, error) {
	return many[Person](ctx, q, `select `+personColumns+`order by u.deactivated_at is not null, u.email`)
}

// PersonByID is NotFound for nobody.
func PersonByID(ctx context.Context, q Querier, id int64) (Person, error) {
	return one[Person](ctx, q, noPerson(), `select `+personColumns+`where u.id = $1`, id)
}

// SetAdmin makes the user an administrator, or takes that away: never from the
// last one who may sign in.
func SetAdmin(ctx context.Context, tx pgx.Tx, userID int64, admin bool) error {
	if !admin {
		if err := keepAdmin(ctx, tx, userID); err != nil {
			return err
		}
		// Those of the apps that the user manages hold.
		_, err := exec(ctx, tx, `update invitations i set revoked_at = now() where i.invited_by = $1 and i.accepted_at is null and i.revoked_at is null
			and not exists (select from app_members m where m.app_id = i.app_id and m.user_id = $1 and m.role = 'manage')`, userID)
		if err != nil {
			return err
		}
	}
	return mustTouch(ctx, tx, noPerson(), `with changed as (update users set is_admin = $2 where id = $1 returning id)
		select pg_notify('live', 'access:' || id) from changed`, userID, admin)
}

// keepAdmin is Conflict when without the user nobody could do what only
// administrators may.
func keepAdmin(ctx context.Context, tx pgx.Tx, userID int64) error {
	// Two administrators who take it away from each other wait for one another here.
	others, err := value[bool](ctx, tx, nil, `with admins as (select id from users where is_admin and deactivated_at is null order by id for update)
		select exists (select from admins where id <> $1) or not exists (select from admins where id = $1)`, userID)
	if err != nil || others {
		return err
	}
	return platform.Conflict("This is the only administrator who may sign in. Make somebody else an administrator first.")
}

// Deactivate ends every way in of the user at once: sessions, open pages,
// tokens, links and feeds, and the invitations that the user made. Roles stay,
// for the day on which the user comes back.
func Deactivate(ctx context.Context, tx pgx.Tx, userID int64, by string) error {
	if err := keepAdmin(ctx, tx, userID); err != nil {
		return err
	}
	err := mustTouch(ctx, tx, noPerson(), `update users set deactivated_at = coalesce(deactivated_at, now()), deactivated_by = $2 where id = $1`, userID, by)
	if err != nil {
		return err
	}
	for _, sql := range []string{
		`delete from sessions where user_id = $1`,
		`delete from api_tokens where user_id = $1`,
		`delete from calendar_feeds where user_id = $1`,
		`delete from pending_sign_ins where user_id = $1`,
		`update sign_in_links set used_at = now() where user_id = $1 and used_at is null`,
	} {
		if _, err := exec(ctx, tx, sql, userID); err != nil {
			return err
		}
	}
	if err := revokeInvitationsBy(ctx, tx, userID, 0); err != nil {
		return err
	}
	if err := notifyAppsOf(ctx, tx, userID); err != nil {
		return err
	}
	return Notify(ctx, tx, liveEnded(userID))
}

// notifyAppsOf tells the pages of the apps on which the user has a role.
func notifyAppsOf(ctx context.Context, q Querier, userID int64) error {
	_, err := exec(ctx, q, `select pg_notify('live', 'app:' || app_id) from app_members where user_id = $1`, userID)
	return err
}

// Reactivate lets the user sign in again, with the roles of before.
func Reactivate(ctx context.Context, q Querier, userID int64) error {
	err := mustTouch(ctx, q, platform.NotFound("This person is active already. Reload the page."),
		`update users set deactivated_at = null, deactivated_by = '' where id = $1 and deactivated_at is not null`, userID)
	if err != nil {
		return err
	}
	return notifyAppsOf(ctx, q, userID)
}

// EndEverySession signs the user out everywhere, open pages too, and returns
// how many sessions ended.
func EndEverySession(ctx context.Context, q Querier, userID int64) (int64, error) {
	n, err := exec(ctx, q, `delete from sessions where user_id = $1`, userID)
	if err != nil {
		return 0, err
	}
	return n, Notify(ctx, q, liveEnded(userID))
}

// deactivated is the refusal of a way in.
func deactivated() error {
	return platform.Forbidden("This account is deactivated. Ask an administrator to reactivate it.")
}

func noPerson() error {
	return platform.NotFound("There is no such person. Go back to the list of people.")
}
