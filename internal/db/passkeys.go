package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// challengeLife is how long a browser has to answer a challenge.
const challengeLife = 5 * time.Minute

// mostPasskeys is how many one person may have.
const mostPasskeys = 20

// Passkey is one of a person's. Credential is what the library keeps of it as
// JSON: the public key, the counter, flags; nothing secret.
type Passkey struct {
	ID         int64
	UserID     int64
	Name       string
	Site       string // the name at which it was made; it works nowhere else
	Credential []byte
	CreatedAt  time.Time
	LastUsedAt *time.Time
}

const passkeyColumns = `id, user_id, name, site, credential, created_at, last_used_at`

func noPasskey() error {
	return platform.NotFound("There is no such passkey. Look at the list under Settings.")
}

// ListPasskeys is a person's, the oldest first.
func ListPasskeys(ctx context.Context, q Querier, userID int64) ([]Passkey, error) {
	return many[Passkey](ctx, q, `select `+passkeyColumns+` from passkeys where user_id = $1 order by id`, userID)
}

// PasskeysAreUsedAt is whether anybody has a passkey for that name.
func PasskeysAreUsedAt(ctx context.Context, q Querier, site string) (bool, error) {
	return value[bool](ctx, q, nil, `select exists (select from passkeys where site = $1)`, site)
}

// NewPasskey is a passkey as it is added.
type NewPasskey struct {
	UserID       int64
	Name         string
	Site         string
	CredentialID []byte
	Credential   []byte
}

// AddPasskey keeps a passkey. One that is known is Conflict, and so is one more
// than anybody needs.
func AddPasskey(ctx context.Context, q Querier, p NewPasskey) error {
	return mustTouch(ctx, q, platform.Conflict("You have %d passkeys, which is all that are kept, or this one is known already. Remove one that you do not use.", mostPasskeys),
		`insert into passkeys (user_id, name, site, credential_id, credential)
		select $1, $2, $3, $4, $5 where (select count(*) from passkeys where user_id = $1) < $6
		on conflict on constraint passkeys_credential_id_key do nothing`, p.UserID, p.Name, p.Site, p.CredentialID, p.Credential, mostPasskeys)
}

// RemovePasskey forgets one of the person's and returns its name.
func RemovePasskey(ctx context.Context, q Querier, userID, id int64) (name string, err error) {
	return value[string](ctx, q, noPasskey(), `delete from passkeys where user_id = $1 and id = $2 returning name`, userID, id)
}

// NotePasskeyUsed keeps what a use has changed: the counter, and when it was.
func NotePasskeyUsed(ctx context.Context, q Querier, credentialID, credential []byte) error {
	return mustTouch(ctx, q, noPasskey(), `update passkeys set credential = $2, last_used_at = now() where credential_id = $1`, credentialID, credential)
}

// PasskeyHandle is what passkeys know a person by: random, and nobody's address.
func PasskeyHandle(ctx context.Context, q Querier, userID int64) ([]byte, error) {
	return value[[]byte](ctx, q, noUser(), `select passkey_handle from users where id = $1`, userID)
}

// UserByPasskeyHandle is NotFound for one that nobody has.
func UserByPasskeyHandle(ctx context.Context, q Querier, handle []byte) (User, error) {
	return one[User](ctx, q, noPasskey(), `select `+userColumns+` from users where passkey_handle = $1`, handle)
}

// PasskeyChallenge is a challenge that a browser was given. Browser is what ties
// it to that browser, UserID whom it is for, nil where that is to be found out.
type PasskeyChallenge struct {
	Purpose  string // register, sign in, second, proof
	UserID   *int64
	Ceremony []byte
}

// CreatePasskeyChallenge keeps a challenge until it is answered.
func CreatePasskeyChallenge(ctx context.Context, q Querier, challenge, browser string, c PasskeyChallenge) error {
	_, err := exec(ctx, q, `insert into passkey_challenges (challenge_hash, purpose, browser, user_id, ceremony) values ($1, $2, $3, $4, $5)`,
		tokenHash(challenge), c.Purpose, tokenHash(browser), c.UserID, c.Ceremony)
	return err
}

// TakePasskeyChallenge uses a challenge up: of two answers at once one counts.
// NotFound for one of another browser or purpose, and for one that is too old.
func TakePasskeyChallenge(ctx context.Context, q Querier, challenge, browser, purpose string) (PasskeyChallenge, error) {
	return one[PasskeyChallenge](ctx, q, platform.NotFound("This took longer than 5 minutes, or was answered before. Try again."),
		`delete from passkey_challenges where challenge_hash = $1 and browser = $2 and purpose = $3 and created_at > now() - $4::interval
		returning purpose, user_id, ceremony`, tokenHash(challenge), tokenHash(browser), purpose, challengeLife)
}

// DeleteOldPasskeyChallenges forgets those that nobody has answered.
func DeleteOldPasskeyChallenges(ctx context.Context, q Querier) (int64, error) {
	return exec(ctx, q, `delete from passkey_challenges where created_at < now() - $1::interval`, challengeLife)
}
