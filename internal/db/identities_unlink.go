package db

import (
	"context"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// UnlinkIdentity ends that the user signs in through issuer, and remembers it:
// the address alone links them no more. NotFound for who is not linked there.
func UnlinkIdentity(ctx context.Context, tx pgx.Tx, userID int64, issuer string) error {
	err := mustTouch(ctx, tx, platform.NotFound("You are not linked to an account there. Reload the page."),
		`delete from identities where user_id = $1 and issuer = $2`, userID, issuer)
	if err != nil {
		return err
	}
	_, err = exec(ctx, tx, `insert into unlinked_identities (user_id, issuer) values ($1, $2) on conflict do nothing`, userID, issuer)
	return err
}

// HasUnlinked is whether the user has unlinked an account at issuer and not
// linked one again.
func HasUnlinked(ctx context.Context, q Querier, userID int64, issuer string) (bool, error) {
	return value[bool](ctx, q, nil, `select exists (select from unlinked_identities where user_id = $1 and issuer = $2)`, userID, issuer)
}

// HasWayIn is whether the user can sign in by themselves: with a password, with
// a passkey for one of the sites, or through issuer (empty where there is none).
// In a transaction it holds until that ends: of two acts at once that would each
// leave the other's way, the second one waits here.
func HasWayIn(ctx context.Context, q Querier, userID int64, issuer string, sites []string) (bool, error) {
	// Two statements: the second one sees what whoever was waited for has done.
	if _, err := exec(ctx, q, `select from users where id = $1 for update`, userID); err != nil {
		return false, err
	}
	return value[bool](ctx, q, noUser(), `select password_hash is not null
		or exists (select from passkeys where user_id = u.id and site = any($3))
		or exists (select from identities where user_id = u.id and issuer = $2)
		from users u where id = $1`, userID, issuer, sites)
}
