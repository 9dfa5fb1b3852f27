package engine

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// scramIterations is what PostgreSQL itself uses; clients pay it at each connect.
const scramIterations = 4096

// Verifier is the SCRAM-SHA-256 verifier of a password in PostgreSQL's form
// (RFC 5803), under a random salt: what CREATE ROLE … PASSWORD takes instead of
// the password, so that no password appears in SQL text or a server's log. The
// password must be printable ASCII; others would first need SASLprep.
func Verifier(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("salt of a verifier: %w", err)
	}
	return verifier(password, salt)
}

func verifier(password string, salt []byte) (string, error) {
	if password == "" {
		return "", errors.New("a verifier needs a password")
	}
	for i := range len(password) {
		if password[i] < ' ' || password[i] > '~' {
			return "", errors.New("a verifier is made of a password in printable ASCII only")
		}
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("verifier: %w", err)
	}
	clientKey := mac(salted, "Client Key")
	storedKey := sha256.Sum256(clientKey)
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, encode(salt), encode(storedKey[:]), encode(mac(salted, "Server Key"))), nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}
