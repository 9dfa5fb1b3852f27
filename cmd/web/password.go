package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"changeover/internal/platform"

	"github.com/ccojocar/zxcvbn-go"
	"golang.org/x/crypto/argon2"
)

// minPasswordLength and maxPasswordLength are in characters. The lower end is
// that of NIST SP 800-63B-4 for a password that is enough by itself; the upper
// end only keeps a request from making the hash work on a megabyte.
const (
	minPasswordLength = 15
	maxPasswordLength = 200
)

// passwordCost is what a hash costs: memory in KiB, passes, lanes.
type passwordCost struct {
	memory uint32
	passes uint32
	lanes  uint8
}

// passwords hashes and checks passwords with argon2id, at most as many at once
// as slots: each takes 64 MiB, and a crowd at the sign-in page must not take
// the memory of the databases on the same machine.
type passwords struct {
	cost  passwordCost
	slots chan struct{}
	// decoy is checked when there is no such user, so that both answers take
	// the same time.
	decoy string
}

func newPasswords(cost passwordCost, atOnce int) (*passwords, error) {
	p := &passwords{cost: cost, slots: make(chan struct{}, atOnce)}
	var err error
	p.decoy, err = p.hash(context.Background(), rand.Text())
	return p, err
}

// standardCost is OWASP's first choice of argon2id with a little more memory.
func standardCost() passwordCost { return passwordCost{memory: 64 * 1024, passes: 1, lanes: 4} }

// checkPassword is nil for a password that may be chosen; else Invalid at field.
func checkPassword(field, password, email string) error {
	n := utf8.RuneCountInString(password)
	switch {
	case n < minPasswordLength:
		return platform.Invalid(field, "The password has %d characters and needs at least %d. Make it longer; four unrelated words will do.", n, minPasswordLength)
	case n > maxPasswordLength:
		return platform.Invalid(field, "The password has %d characters; at most %d are taken. Make it shorter.", n, maxPasswordLength)
	case strings.EqualFold(password, email):
		return platform.Invalid(field, "The password is the e-mail address. Choose another one.")
	case isGuessed(password, email):
		return platform.Invalid(field, "This password is among the first that are guessed: common words, names of this site, rows of keys or repetitions. Choose another one; four unrelated words will do.")
	}
	return nil
}

// leastStrength is the first of zxcvbn's marks (0 to 4) that is taken: below it
// are passwords of the lists of common ones, with or without a year, a row of
// digits or letters like @ for a.
const leastStrength = 2

// isGuessed is whether a guesser comes to password early. The person's address
// and the names of this program count as common words. Only the first 64
// characters are looked at: the search is quadratic.
func isGuessed(password, email string) bool {
	words := []string{"changeover", "postgresql", "database", email}
	words = append(words, strings.FieldsFunc(strings.ToLower(email), func(r rune) bool { return strings.ContainsRune("@.-_+", r) })...)
	if runes := []rune(password); len(runes) > 64 {
		password = string(runes[:64])
	}
	return zxcvbn.PasswordStrength(password, words).Score < leastStrength
}

// hash is password in the PHC string form, with a fresh salt.
func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, p.cost.passes, p.cost.memory, p.cost.lanes, 32)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.cost.memory, p.cost.passes, p.cost.lanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// matches says whether password is what encoded was made from. An empty
// encoded (no such user, or no password yet) costs the same and is never true.
func (p *passwords) matches(ctx context.Context, encoded, password string) (bool, error) {
	known := encoded != ""
	if !known {
		encoded = p.decoy
	}
	if utf8.RuneCountInString(password) > maxPasswordLength {
		password = ""
	}
	cost, salt, want, err := parseHash(encoded)
	if err != nil {
		return false, err
	}
	if err := p.enter(ctx); err != nil {
		return false, err
	}
	defer p.leave()
	got := argon2.IDKey([]byte(password), salt, cost.passes, cost.memory, cost.lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1 && known && password != "", nil
}

func (p *passwords) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return platform.Unavailable(ctx.Err(), "Too many people sign in at this moment. Try again in a few seconds.")
	}
}

func (p *passwords) leave() { <-p.slots }

func parseHash(encoded string) (passwordCost, []byte, []byte, error) {
	var cost passwordCost
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return cost, nil, nil, errors.New("the stored password hash is not argon2id")
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &cost.memory, &cost.passes, &cost.lanes); err != nil || cost.passes == 0 || cost.lanes == 0 {
		return cost, nil, nil, errors.New("the stored password hash has no cost")
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return cost, nil, nil, errors.New("the stored password hash has no salt")
	}
	key, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(key) == 0 {
		return cost, nil, nil, errors.New("the stored password hash has no key")
	}
	return cost, salt, key, nil
}
