package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Member is somebody with a role on an app.
type Member struct {
	AppID     int64
	UserID    int64
	Email     string
	Name      string
	Active    bool // may sign in
	Role      platform.Role
	AddedBy   string // an address, or "upgrade"
	CreatedAt time.Time
}

type memberRow struct {
	AppID     int64
	UserID    int64
	Email     string
	Name      string
	Active    bool
	Role      string
	AddedBy   string
	CreatedAt time.Time
}

const memberColumns = `m.app_id, m.user_id, u.email, u.name, u.deactivated_at is null as active, m.role, m.added_by, m.created_at`

// AccessOf is what a user may see and do now; nothing for whoever is deactivated.
func AccessOf(ctx context.Context, q Querier, userID int64) (platform.Access, error) {
	type row struct {
		IsAdmin bool
		AppID   *int64
		Role    *string
	}
	rows, err := many[row](ctx, q, `select u.is_admin, m.app_id, m.role
		from users u left join app_members m on m.user_id = u.id and not u.is_admin
		where u.id = $1 and u.deactivated_at is null`, userID)
	access := platform.Access{Apps: map[int64]platform.Role{}}
	for _, r := range rows {
		access.Admin = access.Admin || r.IsAdmin
		if r.AppID != nil {
			if access.Apps[*r.AppID], err = platform.ParseRole(*r.Role); err != nil {
				return platform.Access{}, err
			}
		}
	}
	return access, err
}

// sight is an access as two arguments of a question: all apps, or these.
func sight(a platform.Access) (all bool, apps []int64) { return a.Admin, a.AppIDs() }

// SetMember gives the user a role on the app, or changes the one there.
func SetMember(ctx context.Context, q Querier, appID, userID int64, role platform.Role, by string) error {
	return mustTouch(ctx, q, noApp(), `with changed as (
			insert into app_members (app_id, user_id, role, added_by) values ($1, $2, $3, $4)
			on conflict on constraint app_members_pkey do update set role = excluded.role
			returning app_id, user_id)
		select pg_notify('live', 'access:' || user_id), pg_notify('live', 'app:' || app_id) from changed`, appID, userID, role.String(), by)
}

// RemoveMember takes the user's role on the app away, and the invitations to it
// that the user made. The last one who manages it cannot go.
func RemoveMember(ctx context.Context, tx pgx.Tx, appID, userID int64) error {
	if _, err := lockApp(ctx, tx, appID); err != nil {
		return err
	}
	if err := keepManager(ctx, tx, appID, userID); err != nil {
		return err
	}
	if err := revokeInvitationsBy(ctx, tx, userID, appID); err != nil {
		return err
	}
	return mustTouch(ctx, tx, noMember(), `with gone as (
			delete from app_members where app_id = $1 and user_id = $2 returning app_id, user_id)
		select pg_notify('live', 'access:' || user_id), pg_notify('live', 'app:' || app_id) from gone`, appID, userID)
}

// ChangeMember changes the role of somebody who has one; as RemoveMember.
func ChangeMember(ctx context.Context, tx pgx.Tx, appID, userID int64, role platform.Role) error {
	if _, err := lockApp(ctx, tx, appID); err != nil {
		return err
	}
	if role < platform.RoleManage {
		if err := keepManager(ctx, tx, appID, userID); err != nil {
			return err
		}
		if err := revokeInvitationsBy(ctx, tx, userID, appID); err != nil {
			return err
		}
	}
	return mustTouch(ctx, tx, noMember(), `with changed as (
			update app_members set role = $3 where app_id = $1 and user_id = $2 returning app_id, user_id)
		select pg_notify('live', 'access:' || user_id), pg_notify('live', 'app:' || app_id) from changed`, appID, userID, role.String())
}

// LastManager is whether the user is the only one who manages the app and may
// sign in.
func LastManager(ctx context.Context, q Querier, appID, userID int64) (bool, error) {
	return value[bool](ctx, q, nil, `with managers as (
			select m.user_id from app_members m join users u on u.id = m.user_id
			where m.app_id = $1 and m.role = 'manage' and u.deactivated_at is null)
		select exists (select from managers where user_id = $2) and not exists (select from managers where user_id <> $2)`, appID, userID)
}

// keepManager is Conflict when without the user nobody on the app could say who
// may use it. The caller has locked the app.
func keepManager(ctx context.Context, tx pgx.Tx, appID, userID int64) error {
	last, err := LastManager(ctx, tx, appID, userID)
	if err != nil || !last {
		return err
	}
	return platform.Conflict("Nobody else manages this app. Give somebody else the role manage first, then try again.")
}

// ListMembers is who has a role on the app, the largest role first.
func ListMembers(ctx context.Context, q Querier, appID int64) ([]Member, error) {
	rows, err := many[memberRow](ctx, q, `select `+memberColumns+` from app_members m join users u on u.id = m.user_id
		where m.app_id = $1 order by array_position(array['manage', 'operate', 'view'], m.role), u.email`, appID)
	if err != nil {
		return nil, err
	}
	list := make([]Member, len(rows))
	for i, r := range rows {
		role, err := platform.ParseRole(r.Role)
		if err != nil {
			return nil, err
		}
		list[i] = Member{r.AppID, r.UserID, r.Email, r.Name, r.Active, role, r.AddedBy, r.CreatedAt}
	}
	return list, nil
}

// Managers is the addresses of those who manage the app, by address.
func Managers(ctx context.Context, q Querier, appID int64) ([]string, error) {
	return value[[]string](ctx, q, nil, `select coalesce(array_agg(u.email order by u.email), '{}')
		from app_members m join users u on u.id = m.user_id where m.app_id = $1 and m.role = 'manage' and u.deactivated_at is null`, appID)
}

func noMember() error {
	return platform.NotFound("This person has no role on the app any more. Reload the page.")
}
