package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// PendingLife is how long somebody who was right about the first factor has for
// the second.
const PendingLife = 10 * time.Minute

// PendingSignIn is somebody who was right about the first factor. How is what
// that was, Next the page that was asked for.
type PendingSignIn struct {
	User
	How  string
	Next string
}

func noPending() error {
	return platform.NotFound("This took longer than 10 minutes. Sign in again.")
}

// CreatePendingSignIn keeps that the user was right about the first factor. The
// token goes into a cookie and is never stored.
func CreatePendingSignIn(ctx context.Context, q Querier, userID int64, how, next string) (token string, err error) {
	token = newToken()
	_, err = exec(ctx, q, `insert into pending_sign_ins (token_hash, user_id, how, next) values ($1, $2, $3, left($4, 2000))`, tokenHash(token), userID, how, next)
	return token, err
}

// PendingSignInOf is NotFound for an unknown token and for one that is too old.
func PendingSignInOf(ctx context.Context, q Querier, token string) (PendingSignIn, error) {
	return one[PendingSignIn](ctx, q, noPending(), `select u.id, u.email, u.name, u.password_hash, u.is_admin, u.created_at, p.how, p.next
		from pending_sign_ins p join users u on u.id = p.user_id
		where p.token_hash = $1 and p.created_at > now() - $2::interval`, tokenHash(token), PendingLife)
}

// EndPendingSignIn uses it up; of two at once one succeeds, the other is NotFound.
func EndPendingSignIn(ctx context.Context, q Querier, token string) error {
	return mustTouch(ctx, q, noPending(), `delete from pending_sign_ins where token_hash = $1`, tokenHash(token))
}

// DeleteOldPendingSignIns forgets those that nobody finished.
func DeleteOldPendingSignIns(ctx context.Context, q Querier) (int64, error) {
	return exec(ctx, q, `delete from pending_sign_ins where created_at < now() - $1::interval`, PendingLife)
}
