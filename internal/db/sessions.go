package db

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"changeover/internal/platform"
)

// Limits of a session where nothing else is configured.
const (
	SessionIdleLimit     = 12 * time.Hour
	SessionAbsoluteLimit = 14 * 24 * time.Hour
)

// Session is one signed-in browser. Handle names it on the settings page; it
// is the hash of the cookie and cannot be used in its place.
type Session struct {
	Handle     string
	UserID     int64
	CSRFToken  string
	CreatedAt  time.Time
	LastSeenAt time.Time
	ProvedAt   time.Time // when the person last proved who they are
	IP         string
	UserAgent  string
}

const sessionColumns = `encode(token_hash, 'hex') as handle, user_id, csrf_token, created_at, last_seen_at, proved_at, ip, user_agent`

// CreateSession signs the user in. The token goes into the cookie and is never
// stored. Whoever is deactivated is Forbidden, whatever proved who it is.
func CreateSession(ctx context.Context, q Querier, userID int64, ip, userAgent string) (token string, s Session, err error) {
	token = newToken()
	s, err = one[Session](ctx, q, deactivated(), `with who as (
			update users set last_sign_in_at = now() where id = $2 and deactivated_at is null returning id)
		insert into sessions (token_hash, user_id, csrf_token, ip, user_agent)
		select $1, id, $3, $4, left($5, 300) from who returning `+sessionColumns, tokenHash(token), userID, newToken(), ip, strings.ToValidUTF8(userAgent, ""))
	if platform.KindOf(err) == platform.KindForbidden {
		if _, gone := UserByID(ctx, q, userID); gone != nil {
			err = gone
		}
	}
	if err != nil {
		return "", Session{}, err
	}
	return token, s, nil
}

// signedIn is one row of the question that every request asks.
type signedIn struct {
	Session
	ID            int64
	Email         string
	Name          string
	PasswordHash  *string
	IsAdmin       bool
	UserCreatedAt time.Time
}

// FindSession is the session of a cookie and its user, seen now. A session not
// seen for idle, or older than absolute, is NotFound like an unknown one. The
// row is written at most once a minute, so that reading pages stays cheap.
func FindSession(ctx context.Context, q Querier, token string, idle, absolute time.Duration) (Session, User, error) {
	row, err := one[signedIn](ctx, q, noSession(), `with found as (
			select * from sessions
			where token_hash = $1 and last_seen_at > now() - $2::interval and created_at > now() - $3::interval),
		touched as (
			update sessions set last_seen_at = now()
			where token_hash = (select token_hash from found where last_seen_at < now() - interval '1 minute'))
		select `+sessionColumnsOf("f")+`, u.id, u.email, u.name, u.password_hash, u.is_admin, u.created_at as user_created_at
		from found f join users u on u.id = f.user_id and u.deactivated_at is null`, tokenHash(token), idle, absolute)
	return row.Session, User{row.ID, row.Email, row.Name, row.PasswordHash, row.IsAdmin, row.UserCreatedAt}, err
}

func sessionColumnsOf(alias string) string {
	return `encode(` + alias + `.token_hash, 'hex') as handle, ` + alias + `.user_id, ` + alias + `.csrf_token, ` +
		alias + `.created_at, ` + alias + `.last_seen_at, ` + alias + `.proved_at, ` + alias + `.ip, ` + alias + `.user_agent`
}

// RotateSession gives the session a new token and CSRF token, after the person
// has proved again who they are. The old token is worth nothing from then on; the age stays.
func RotateSession(ctx context.Context, q Querier, token string) (newOne string, s Session, err error) {
	newOne = newToken()
	s, err = one[Session](ctx, q, noSession(), `update sessions set token_hash = $2, csrf_token = $3, last_seen_at = now(), proved_at = now()
		where token_hash = $1 returning `+sessionColumns, tokenHash(token), tokenHash(newOne), newToken())
	if err != nil {
		return "", Session{}, err
	}
	return newOne, s, nil
}

// EndSession signs one browser out; an unknown token is no error.
func EndSession(ctx context.Context, q Querier, token string) error {
	_, err := exec(ctx, q, `delete from sessions where token_hash = $1`, tokenHash(token))
	return err
}

// EndUserSession signs out the user's session of that handle.
func EndUserSession(ctx context.Context, q Querier, userID int64, handle string) error {
	hash, err := hex.DecodeString(handle)
	if err != nil {
		return noSession()
	}
	return mustTouch(ctx, q, noSession(), `delete from sessions where user_id = $1 and token_hash = $2`, userID, hash)
}

// EndAllSessions signs the user out everywhere but in the session of
// exceptHandle (empty: everywhere) and returns how many ended. Whoever is half
// signed in starts again, too.
func EndAllSessions(ctx context.Context, q Querier, userID int64, exceptHandle string) (int64, error) {
	return exec(ctx, q, `with half as (delete from pending_sign_ins where user_id = $1)
		delete from sessions where user_id = $1 and encode(token_hash, 'hex') <> $2`, userID, exceptHandle)
}

// ListSessions is the user's sessions that still hold, the newest seen first.
func ListSessions(ctx context.Context, q Querier, userID int64, idle, absolute time.Duration) ([]Session, error) {
	return many[Session](ctx, q, `select `+sessionColumns+` from sessions
		where user_id = $1 and last_seen_at > now() - $2::interval and created_at > now() - $3::interval
		order by last_seen_at desc, created_at desc`, userID, idle, absolute)
}

// DeleteExpiredSessions forgets the sessions that no longer hold.
func DeleteExpiredSessions(ctx context.Context, q Querier, idle, absolute time.Duration) (int64, error) {
	return exec(ctx, q, `delete from sessions
		where last_seen_at <= now() - $1::interval or created_at <= now() - $2::interval`, idle, absolute)
}

func noSession() error {
	return platform.NotFound("You are not signed in any more. Sign in again.")
}
