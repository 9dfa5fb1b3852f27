package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// CreateSignInLink makes a one-time token for the user, good for ttl. The token
// is returned once and only its hash is kept. Whoever is deactivated gets none.
func CreateSignInLink(ctx context.Context, q Querier, userID int64, ttl time.Duration) (token string, err error) {
	token = newToken()
	err = mustTouch(ctx, q, deactivated(), `insert into sign_in_links (token_hash, user_id, expires_at)
		select $1, id, now() + $3::interval from users where id = $2 and deactivated_at is null`, tokenHash(token), userID, ttl)
	if err != nil {
		return "", err
	}
	return token, nil
}

// CreateResetLink makes a link that sets a new password, good for ttl; madeBy
// is the administrator who asked for it, empty for the person. The links of
// before are used up: the newest mail is the one that works.
func CreateResetLink(ctx context.Context, q Querier, userID int64, ttl time.Duration, madeBy string) (token string, err error) {
	token = newToken()
	err = mustTouch(ctx, q, deactivated(), `with spent as (update sign_in_links set used_at = now() where user_id = $2 and resets and used_at is null)
		insert into sign_in_links (token_hash, user_id, expires_at, resets, made_by)
		select $1, id, now() + $3::interval, true, $4 from users where id = $2 and deactivated_at is null`,
		tokenHash(token), userID, ttl, madeBy)
	if err != nil {
		return "", err
	}
	return token, nil
}

// LetLinkClearFactors makes a link take the second factor away, too, for who has
// lost it.
func LetLinkClearFactors(ctx context.Context, q Querier, token string) error {
	return mustTouch(ctx, q, deadLink(), `update sign_in_links set clears_factors = true where token_hash = $1 and resets`, tokenHash(token))
}

// LinkUser is whom a link is for. SetsPassword is whether it asks for a
// password: the first one, or a new one.
type LinkUser struct {
	User
	Resets        bool
	ClearsFactors bool // using it takes the second factor away
}

// SetsPassword is whether the link is used by setting a password.
func (l LinkUser) SetsPassword() bool { return l.Resets || l.PasswordHash == nil }

// SignInLinkUser is whom an unused link is for, without using it up: opening
// the page must not, since mail scanners open links too.
func SignInLinkUser(ctx context.Context, q Querier, token string) (LinkUser, error) {
	return one[LinkUser](ctx, q, deadLink(), `select u.id, u.email, u.name, u.password_hash, u.is_admin, u.created_at, l.resets, l.clears_factors
		from sign_in_links l join users u on u.id = l.user_id and u.deactivated_at is null
		where l.token_hash = $1 and l.used_at is null and l.expires_at > now()`, tokenHash(token))
}

// UseSignInLink uses the link up and returns whom it was for. Of two at once
// one succeeds; a used, expired or unknown link is NotFound.
func UseSignInLink(ctx context.Context, q Querier, token string) (LinkUser, error) {
	return one[LinkUser](ctx, q, deadLink(), `with used as (
			update sign_in_links set used_at = now()
			where token_hash = $1 and used_at is null and expires_at > now()
			returning user_id, resets, clears_factors)
		select u.id, u.email, u.name, u.password_hash, u.is_admin, u.created_at, used.resets, used.clears_factors
		from used join users u on u.id = used.user_id and u.deactivated_at is null`, tokenHash(token))
}

// SpendResetLinks uses up whatever resets the user's password.
func SpendResetLinks(ctx context.Context, q Querier, userID int64) error {
	_, err := exec(ctx, q, `update sign_in_links set used_at = now() where user_id = $1 and resets and used_at is null`, userID)
	return err
}

// DeleteOldSignInLinks forgets links that are used or expired for a day.
func DeleteOldSignInLinks(ctx context.Context, q Querier) (int64, error) {
	return exec(ctx, q, `delete from sign_in_links where least(expires_at, used_at) < now() - interval '1 day'`)
}

func deadLink() error {
	return platform.NotFound("This link was used or has expired. Ask for a new one: on the sign-in page, of an administrator, or with changeover sign-in-link.")
}
