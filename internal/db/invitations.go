package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// InvitationLife is how long an invitation can be accepted.
const InvitationLife = 7 * 24 * time.Hour

// mostInvitations is how many can be open at once to one app, or to the
// installation.
const mostInvitations = 50

// Invitation is somebody who is asked to come: to an app with a role, or to the
// installation, where AppID is nil.
type Invitation struct {
	ID        int64
	Email     string
	AppID     *int64
	AppName   string // empty without an app
	RoleWord  string // empty without an app
	IsAdmin   bool   // they become an administrator
	InvitedBy string // an address
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Role is the role on the app.
func (i Invitation) Role() platform.Role {
	role, _ := platform.ParseRole(i.RoleWord) // a constraint holds the word
	return role
}

// NewInvitation is what an invitation is made of.
type NewInvitation struct {
	Email     string
	AppID     *int64
	Role      platform.Role // with AppID
	IsAdmin   bool          // without
	InvitedBy int64         // a user
}

const invitationColumns = `i.id, i.email, i.app_id, coalesce(a.name, '') as app_name, coalesce(i.role, '') as role_word, i.is_admin,
	u.email as invited_by, i.created_at, i.expires_at`

const fromInvitations = ` from invitations i join users u on u.id = i.invited_by left join apps a on a.id = i.app_id `

// openInvitation is of those that can still be accepted.
const openInvitation = `i.accepted_at is null and i.revoked_at is null and i.expires_at > now() and (i.app_id is null or a.destroyed_at is null)`

// CreateInvitation makes an invitation and returns the token of its link, once.
// An open one of the same address to the same place ends: the newest mail is
// the one that works. A malformed address is Invalid at field "email".
func CreateInvitation(ctx context.Context, tx pgx.Tx, n NewInvitation) (token string, made Invitation, err error) {
	n.Email = cleanEmail(n.Email)
	if err := platform.CheckEmail("email", n.Email); err != nil {
		return "", made, err
	}
	if n.AppID != nil {
		if _, err := lockApp(ctx, tx, *n.AppID); err != nil {
			return "", made, err
		}
	}
	open, err := value[int](ctx, tx, nil, `select count(*) from invitations i left join apps a on a.id = i.app_id
		where coalesce(i.app_id, 0) = coalesce($1::bigint, 0) and i.email <> $2 and `+openInvitation, n.AppID, n.Email)
	if err != nil {
		return "", made, err
	}
	if open >= mostInvitations {
		return "", made, platform.Conflict("%d invitations are open here, which is the limit. Revoke one that is not needed, or wait until one is accepted.", mostInvitations)
	}
	if _, err = exec(ctx, tx, `update invitations set revoked_at = now()
		where email = $1 and coalesce(app_id, 0) = coalesce($2::bigint, 0) and accepted_at is null and revoked_at is null`, n.Email, n.AppID); err != nil {
		return "", made, err
	}
	var role *string
	if n.AppID != nil {
		word := n.Role.String()
		role = &word
		if err := Notify(ctx, tx, LiveApp(*n.AppID)); err != nil {
			return "", made, err
		}
	}
	token = newToken()
	id, err := value[int64](ctx, tx, nil, `insert into invitations (token_hash, email, app_id, role, is_admin, invited_by, expires_at)
		values ($1, $2, $3, $4, $5, $6, now() + $7::interval) returning id`, tokenHash(token), n.Email, n.AppID, role, n.IsAdmin, n.InvitedBy, InvitationLife)
	if err != nil {
		return "", made, err
	}
	made, err = one[Invitation](ctx, tx, deadInvitation(), `select `+invitationColumns+fromInvitations+`where i.id = $1`, id)
	return token, made, err
}

// FindInvitation is what an open invitation is, without using it up.
func FindInvitation(ctx context.Context, q Querier, token string) (Invitation, error) {
	return one[Invitation](ctx, q, deadInvitation(), `select `+invitationColumns+fromInvitations+`where i.token_hash = $1 and `+openInvitation, tokenHash(token))
}

// AcceptInvitation uses the invitation up and gives the user what it says. Of
// two at once one succeeds. A role that the user has and that is larger stays.
func AcceptInvitation(ctx context.Context, tx pgx.Tx, token string, userID int64) (Invitation, error) {
	invitation, err := one[Invitation](ctx, tx, deadInvitation(), `with used as (
			update invitations i set accepted_at = now() from invitations o left join apps a on a.id = o.app_id
			where o.id = i.id and i.token_hash = $1 and `+openInvitation+` returning i.*)
		select `+invitationColumns+` from used i join users u on u.id = i.invited_by left join apps a on a.id = i.app_id`, tokenHash(token))
	if err != nil {
		return invitation, err
	}
	if invitation.IsAdmin {
		return invitation, SetAdmin(ctx, tx, userID, true)
	}
	if invitation.AppID == nil {
		return invitation, nil
	}
	if err := Notify(ctx, tx, LiveApp(*invitation.AppID)); err != nil {
		return invitation, err
	}
	access, err := AccessOf(ctx, tx, userID)
	if err != nil || access.Apps[*invitation.AppID] >= invitation.Role() {
		return invitation, err
	}
	return invitation, SetMember(ctx, tx, *invitation.AppID, userID, invitation.Role(), invitation.InvitedBy)
}

// ListInvitations is the open invitations to an app, or with appID 0 all of
// them, the newest first.
func ListInvitations(ctx context.Context, q Querier, appID int64) ([]Invitation, error) {
	return many[Invitation](ctx, q, `select `+invitationColumns+fromInvitations+`
		where ($1 = 0 or i.app_id = $1) and `+openInvitation+` order by i.id desc`, appID)
}

// RevokeInvitation ends an open invitation to the app, or with appID 0 any. It
// returns whose it was.
func RevokeInvitation(ctx context.Context, q Querier, appID, id int64) (email string, err error) {
	return value[string](ctx, q, platform.NotFound("This invitation was accepted or revoked, or has expired. Reload the page."),
		`with gone as (update invitations set revoked_at = now() where id = $2 and ($1 = 0 or app_id = $1) and accepted_at is null and revoked_at is null returning email, app_id)
		select email from gone, lateral (select pg_notify('live', 'app:' || app_id)) told`, appID, id)
}

// revokeInvitationsBy ends the open invitations that a user made: to one app, or
// with appID 0 all of them. What somebody may not do any more is not done in
// their name either.
func revokeInvitationsBy(ctx context.Context, q Querier, userID, appID int64) error {
	_, err := exec(ctx, q, `update invitations set revoked_at = now()
		where invited_by = $1 and ($2 = 0 or app_id = $2) and accepted_at is null and revoked_at is null`, userID, appID)
	return err
}

// DeleteOldInvitations forgets those that ended 30 days ago.
func DeleteOldInvitations(ctx context.Context, q Querier) (int64, error) {
	return exec(ctx, q, `delete from invitations where least(expires_at, accepted_at, revoked_at) < now() - interval '30 days'`)
}

func deadInvitation() error {
	return platform.NotFound("This invitation was accepted or revoked, or has expired. Ask whoever invited you for a new one.")
}
