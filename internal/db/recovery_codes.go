package db

import (
	"context"
	"crypto/rand"
	"strings"
)

// recoveryCodes is how many a person is given at once; each has recoveryLength
// characters of base32, 120 bits, so that a plain hash is enough.
const (
	recoveryCodes  = 10
	recoveryLength = 24
)

// NewRecoveryCodes gives the user fresh codes; those of before are worth nothing
// from then on. They are returned once and only their hashes are kept.
func NewRecoveryCodes(ctx context.Context, q Querier, userID int64) ([]string, error) {
	codes, hashes := make([]string, recoveryCodes), make([][]byte, recoveryCodes)
	for i := range codes {
		text := strings.ToLower(rand.Text()[:recoveryLength])
		hashes[i] = tokenHash(text)
		codes[i] = text[:6] + "-" + text[6:12] + "-" + text[12:18] + "-" + text[18:]
	}
	if _, err := exec(ctx, q, `delete from recovery_codes where user_id = $1`, userID); err != nil {
		return nil, err
	}
	_, err := exec(ctx, q, `insert into recovery_codes (user_id, code_hash) select $1, unnest($2::bytea[])`, userID, hashes)
	return codes, err
}

// UseRecoveryCode uses a code up and says whether it was one; spaces, dashes and
// capitals are as one likes.
func UseRecoveryCode(ctx context.Context, q Querier, userID int64, typed string) (bool, error) {
	text := strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(typed))
	if len(text) != recoveryLength {
		return false, nil
	}
	n, err := exec(ctx, q, `update recovery_codes set used_at = now() where user_id = $1 and code_hash = $2 and used_at is null`, userID, tokenHash(text))
	return n == 1, err
}

// DeleteRecoveryCodes takes them away with the last factor that they stand in for.
func DeleteRecoveryCodes(ctx context.Context, q Querier, userID int64) error {
	_, err := exec(ctx, q, `delete from recovery_codes where user_id = $1`, userID)
	return err
}
