package db

import (
	"context"
	"strings"
	"time"

	"changeover/internal/platform"
)

// User is somebody who signs in. PasswordHash is encoded argon2id, nil until
// the first password is set.
type User struct {
	ID           int64
	Email        string
	Name         string // how mails address the person; may be empty
	PasswordHash *string
	IsAdmin      bool
	CreatedAt    time.Time
}

const userColumns = `id, email, name, password_hash, is_admin, created_at`

func cleanEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// CreateUser adds a user without a password. A known address is Conflict and
// a malformed one Invalid, both at field "email".
func CreateUser(ctx context.Context, q Querier, email string, isAdmin bool) (User, error) {
	if err := platform.CheckEmail("email", cleanEmail(email)); err != nil {
		return User{}, err
	}
	return one[User](ctx, q, nil, `insert into users (email, is_admin) values ($1, $2) returning `+userColumns, cleanEmail(email), isAdmin)
}

// UserByEmail is NotFound for an unknown address.
func UserByEmail(ctx context.Context, q Querier, email string) (User, error) {
	return one[User](ctx, q, platform.NotFound("There is no user %s. Check the address.", cleanEmail(email)),
		`select `+userColumns+` from users where email = $1`, cleanEmail(email))
}

// UserByID is NotFound for a user that was removed.
func UserByID(ctx context.Context, q Querier, id int64) (User, error) {
	return one[User](ctx, q, noUser(), `select `+userColumns+` from users where id = $1`, id)
}

// FirstUser is the oldest user; NotFound on an empty installation.
func FirstUser(ctx context.Context, q Querier) (User, error) {
	return one[User](ctx, q, platform.NotFound("There is no user yet. Run changeover sign-in-link."),
		`select `+userColumns+` from users order by id limit 1`)
}

// ListUsers is every user, oldest first.
func ListUsers(ctx context.Context, q Querier) ([]User, error) {
	return many[User](ctx, q, `select `+userColumns+` from users order by id`)
}

// SetPassword stores an encoded argon2id hash.
func SetPassword(ctx context.Context, q Querier, userID int64, hash string) error {
	return mustTouch(ctx, q, noUser(), `update users set password_hash = $2 where id = $1`, userID, hash)
}

// SetUserName changes how the person is addressed.
func SetUserName(ctx context.Context, q Querier, userID int64, name string) error {
	return mustTouch(ctx, q, noUser(), `update users set name = $2 where id = $1`, userID, name)
}

// SetUserEmail changes the address that the person signs in with. A known one
// is Conflict and a malformed one Invalid, both at field "email".
func SetUserEmail(ctx context.Context, q Querier, userID int64, email string) error {
	if err := platform.CheckEmail("email", cleanEmail(email)); err != nil {
		return err
	}
	return mustTouch(ctx, q, noUser(), `update users set email = $2 where id = $1`, userID, cleanEmail(email))
}

func noUser() error { return platform.NotFound("This user does not exist any more. Sign in again.") }
