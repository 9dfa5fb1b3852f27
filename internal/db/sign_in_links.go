package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// CreateSignInLink makes a one-time token for the user, good for ttl. The token
// is returned once and only its hash is kept.
func CreateSignInLink(ctx context.Context, q Querier, userID int64, ttl time.Duration) (token string, err error) {
	token = newToken()
	_, err = exec(ctx, q, `insert into sign_in_links (token_hash, user_id, expires_at) values ($1, $2, now() + $3::interval)`,
		tokenHash(token), userID, ttl)
	if err != nil {
		return "", err
	}
	return token, nil
}

// SignInLinkUser is whom an unused link is for, without using it up: opening
// the page must not, since mail scanners open links too.
func SignInLinkUser(ctx context.Context, q Querier, token string) (User, error) {
	return one[User](ctx, q, deadLink(), `select u.id, u.email, u.password_hash, u.is_admin, u.created_at
		from sign_in_links l join users u on u.id = l.user_id
		where l.token_hash = $1 and l.used_at is null and l.expires_at > now()`, tokenHash(token))
}

// UseSignInLink uses the link up and returns whom it was for. Of two at once
// one succeeds; a used, expired or unknown link is NotFound.
func UseSignInLink(ctx context.Context, q Querier, token string) (User, error) {
	return one[User](ctx, q, deadLink(), `with used as (
			update sign_in_links set used_at = now()
			where token_hash = $1 and used_at is null and expires_at > now()
			returning user_id)
		select u.id, u.email, u.password_hash, u.is_admin, u.created_at
		from used join users u on u.id = used.user_id`, tokenHash(token))
}

// DeleteOldSignInLinks forgets links that are used or expired for a day.
func DeleteOldSignInLinks(ctx context.Context, q Querier) (int64, error) {
	return exec(ctx, q, `delete from sign_in_links where least(expires_at, used_at) < now() - interval '1 day'`)
}

func deadLink() error {
	return platform.NotFound("This sign-in link was used or has expired. Run changeover sign-in-link for a new one.")
}
