package db

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// newToken is 256 random bits for a URL, a cookie or a header.
func newToken() string {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		panic("the system's random source failed: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// tokenHash is all that the control database keeps of a token. A plain SHA-256
// is enough: nobody can guess 256 random bits.
func tokenHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
