package db

import (
	"context"
	"strconv"
	"time"

	"changeover/internal/platform"
)

// authenticatorWaits is how long a secret that was shown waits for its first code.
const authenticatorWaits = 15 * time.Minute

func noAuthenticator() error {
	return platform.NotFound("No authenticator app is being set up. Start again under Settings, Second factor.")
}

func authenticatorContext(userID int64) string {
	return "authenticator:" + strconv.FormatInt(userID, 10) + ":secret"
}

// BeginAuthenticator keeps the secret of an authenticator app that no code has
// come from yet. One that already counts is Conflict.
func BeginAuthenticator(ctx context.Context, q Querier, s *Sealer, userID int64, secret string) error {
	return mustTouch(ctx, q, platform.Conflict("An authenticator app is set up already. Turn it off first, under Settings."),
		`insert into authenticators (user_id, secret_sealed) values ($1, $2)
		on conflict (user_id) do update set secret_sealed = $2, created_at = now(), last_step = 0 where authenticators.confirmed_at is null`,
		userID, s.Seal(secret, authenticatorContext(userID)))
}

// Authenticator is a person's app. Confirmed is whether it counts.
type Authenticator struct {
	Secret    string
	Confirmed bool
}

// AuthenticatorOf is NotFound for who has none, or whose unconfirmed one was
// shown too long ago.
func AuthenticatorOf(ctx context.Context, q Querier, s *Sealer, userID int64) (Authenticator, error) {
	row, err := one[struct {
		SecretSealed []byte
		Confirmed    bool
	}](ctx, q, noAuthenticator(), `select secret_sealed, confirmed_at is not null as confirmed from authenticators
		where user_id = $1 and (confirmed_at is not null or created_at > now() - $2::interval)`, userID, authenticatorWaits)
	if err != nil {
		return Authenticator{}, err
	}
	secret, err := s.Open(row.SecretSealed, authenticatorContext(userID))
	return Authenticator{Secret: secret, Confirmed: row.Confirmed}, err
}

// SpendAuthenticatorStep takes the code of a step and says whether it was the
// first one of that step or a later one: of two at once one is. confirm makes
// the app count from then on; without it only one that counts is asked.
func SpendAuthenticatorStep(ctx context.Context, q Querier, userID, step int64, confirm bool) (bool, error) {
	n, err := exec(ctx, q, `update authenticators set last_step = $2, confirmed_at = coalesce(confirmed_at, now())
		where user_id = $1 and last_step < $2 and (confirmed_at is null) = $3`, userID, step, confirm)
	return n == 1, err
}

// DeleteAuthenticator turns the app off; NotFound where there is none that counts.
func DeleteAuthenticator(ctx context.Context, q Querier, userID int64) error {
	return mustTouch(ctx, q, platform.NotFound("There is no authenticator app to turn off."),
		`delete from authenticators where user_id = $1 and confirmed_at is not null`, userID)
}

// Factors is what a person has besides a password.
type Factors struct {
	AuthenticatorSince *time.Time
	Passkeys           int
	RecoveryCodes      int // not used yet
}

// Any is whether a second factor is asked for.
func (f Factors) Any() bool { return f.AuthenticatorSince != nil || f.Passkeys > 0 }

// FactorsOf is what a person has besides a password.
func FactorsOf(ctx context.Context, q Querier, userID int64) (Factors, error) {
	return one[Factors](ctx, q, noUser(), `select
		(select confirmed_at from authenticators where user_id = u.id) as authenticator_since,
		(select count(*) from passkeys where user_id = u.id)::int as passkeys,
		(select count(*) from recovery_codes where user_id = u.id and used_at is null)::int as recovery_codes
		from users u where u.id = $1`, userID)
}

// DeleteFactors takes everything besides the password away, for who has lost it.
func DeleteFactors(ctx context.Context, q Querier, userID int64) error {
	_, err := exec(ctx, q, `with a as (delete from authenticators where user_id = $1), p as (delete from passkeys where user_id = $1)
		delete from recovery_codes where user_id = $1`, userID)
	return err
}
