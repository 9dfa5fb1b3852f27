package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// apiTokenPrefix makes a leaked token findable in logs and repositories.
const apiTokenPrefix = "changeover_"

// What a token may do.
const (
	ScopeRead = "read" // look
	ScopeFull = "full" // all that its person may
)

// APIToken is a program's way in, with its user's rights or, of the scope read,
// with the part of them that changes nothing.
type APIToken struct {
	ID         int64
	UserID     int64
	Name       string
	Scope      string
	CreatedAt  time.Time
	LastUsedAt *time.Time
	ExpiresAt  *time.Time // nil: never
}

// CreateAPIToken makes a token named name of the scope full; it is returned
// once. ttl 0 never expires.
func CreateAPIToken(ctx context.Context, q Querier, userID int64, name string, ttl time.Duration) (token string, t APIToken, err error) {
	return createAPIToken(ctx, q, userID, name, ScopeFull, ttl)
}

// CreateReadToken is CreateAPIToken for a token that only looks.
func CreateReadToken(ctx context.Context, q Querier, userID int64, name string, ttl time.Duration) (token string, t APIToken, err error) {
	return createAPIToken(ctx, q, userID, name, ScopeRead, ttl)
}

func createAPIToken(ctx context.Context, q Querier, userID int64, name, scope string, ttl time.Duration) (token string, t APIToken, err error) {
	if name == "" {
		return "", APIToken{}, platform.Invalid("name", "Give the token a name that says which program uses it.")
	}
	token = apiTokenPrefix + newToken()
	t, err = one[APIToken](ctx, q, nil, `insert into api_tokens (user_id, name, token_hash, scope, expires_at)
		values ($1, left($2, 100), $3, $5, case when $4::interval > interval '0' then now() + $4::interval end)
		returning id, user_id, name, scope, created_at, last_used_at, expires_at`, userID, name, tokenHash(token), ttl, scope)
	if err != nil {
		return "", APIToken{}, err
	}
	return token, t, nil
}

// tokenOwner is one row of the question that every API request asks.
type tokenOwner struct {
	User
	TokenID    int64
	TokenName  string
	Scope      string
	TokenMade  time.Time
	LastUsedAt *time.Time
	ExpiresAt  *time.Time
}

// FindAPIToken is the token and its user; unknown and expired ones are
// Forbidden. Its last use is written at most once a minute.
func FindAPIToken(ctx context.Context, q Querier, token string) (APIToken, User, error) {
	refused := platform.Forbidden("This API token is not valid. Make a new one under Settings, or run changeover token.")
	row, err := one[tokenOwner](ctx, q, refused, `with found as (
			select * from api_tokens where token_hash = $1 and (expires_at is null or expires_at > now())),
		touched as (
			update api_tokens set last_used_at = now()
			where id = (select id from found where last_used_at is null or last_used_at < now() - interval '1 minute'))
		select u.id, u.email, u.name, u.password_hash, u.is_admin, u.created_at,
			f.id as token_id, f.name as token_name, f.scope, f.created_at as token_made, f.last_used_at, f.expires_at
		from found f join users u on u.id = f.user_id and u.deactivated_at is null`, tokenHash(token))
	return APIToken{row.TokenID, row.User.ID, row.TokenName, row.Scope, row.TokenMade, row.LastUsedAt, row.ExpiresAt}, row.User, err
}

// ListAPITokens is the user's tokens, newest first.
func ListAPITokens(ctx context.Context, q Querier, userID int64) ([]APIToken, error) {
	return many[APIToken](ctx, q, `select id, user_id, name, scope, created_at, last_used_at, expires_at
		from api_tokens where user_id = $1 order by id desc`, userID)
}

// DeleteAPIToken takes one of the user's tokens back at once.
func DeleteAPIToken(ctx context.Context, q Querier, userID, id int64) error {
	return mustTouch(ctx, q, platform.NotFound("There is no such token. Reload the page."),
		`delete from api_tokens where id = $1 and user_id = $2`, id, userID)
}
