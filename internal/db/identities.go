package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// stateLife is longer than any answer of an identity provider is waited for.
const stateLife = time.Hour

// SpendState takes the state of an identity provider's answer and says whether
// it was the first time.
func SpendState(ctx context.Context, q Querier, state string) (bool, error) {
	n, err := exec(ctx, q, `insert into spent_states (state_hash) values ($1) on conflict do nothing`, tokenHash(state))
	return n == 1, err
}

// DeleteOldStates forgets states whose time is over anyway.
func DeleteOldStates(ctx context.Context, q Querier) (int64, error) {
	return exec(ctx, q, `delete from spent_states where at < now() - $1::interval`, stateLife)
}

// UserByIdentity is who signs in as subject at issuer, seen now; NotFound for nobody.
func UserByIdentity(ctx context.Context, q Querier, issuer, subject string) (User, error) {
	return one[User](ctx, q, platform.NotFound("Nobody signs in as this account."), `with seen as (
			update identities set last_used_at = now() where issuer = $1 and subject = $2 returning user_id)
		select u.id, u.email, u.name, u.password_hash, u.is_admin, u.created_at from users u join seen on seen.user_id = u.id`, issuer, subject)
}

// LinkIdentity lets the user sign in as subject at issuer. Conflict for a user
// who has another account there, and for an account that is another user's.
func LinkIdentity(ctx context.Context, q Querier, userID int64, issuer, subject string) error {
	return mustTouch(ctx, q, platform.Conflict("This person is linked to another account at the identity provider. Sign in with that one, or ask an administrator."),
		`with again as (delete from unlinked_identities where user_id = $3 and issuer = $1)
		insert into identities (issuer, subject, user_id) values ($1, $2, $3) on conflict do nothing`, issuer, subject, userID)
}

// IdentitySince is when the user was linked to an account at issuer; nil when
// they are not.
func IdentitySince(ctx context.Context, q Querier, userID int64, issuer string) (*time.Time, error) {
	return value[*time.Time](ctx, q, nil, `select (select created_at from identities where user_id = $1 and issuer = $2)`, userID, issuer)
}

// EndWaysIn takes every way in from a user but those by an identity provider:
// password, passkeys, sessions, API tokens and links. An account under an address
// can have been set up by somebody else than the person who has it.
func EndWaysIn(ctx context.Context, tx pgx.Tx, userID int64) error {
	for _, statement := range []string{
		`update users set password_hash = null where id = $1`,
		`delete from passkeys where user_id = $1`,
		`delete from recovery_codes where user_id = $1 and not exists (select from authenticators where user_id = $1 and confirmed_at is not null)`,
		`delete from sign_in_links where user_id = $1`,
		`delete from api_tokens where user_id = $1`,
	} {
		if _, err := exec(ctx, tx, statement, userID); err != nil {
			return err
		}
	}
	_, err := EndAllSessions(ctx, tx, userID, "")
	return err
}
