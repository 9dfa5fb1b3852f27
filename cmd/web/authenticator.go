package main

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"image/png"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// authenticatorPeriod is how long a code of an authenticator app stands; the
// one before and the one after are taken, too, since clocks differ.
const authenticatorPeriod = 30 * time.Second

// newAuthenticator is a fresh secret of 160 bits, as SHA-1's codes have it.
func newAuthenticator() (secret string, err error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Changeover", AccountName: "somebody", SecretSize: 20})
	if err != nil {
		return "", err
	}
	return key.Secret(), nil
}

// authenticatorPicture is the QR picture that an app reads, as a data URL: it
// holds the secret, so it has no address of its own.
func authenticatorPicture(secret, email, host string) (string, error) {
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		return "", err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Changeover " + host, AccountName: email, Secret: raw})
	if err != nil {
		return "", err
	}
	picture, err := key.Image(432, 432)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		return "", err
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// authenticatorStep is the step whose code was typed, near now; ok is false for
// a code of none. Every step is compared, whichever fits, in constant time.
func authenticatorStep(secret, code string, now time.Time) (step int64, ok bool) {
	current := now.Unix() / int64(authenticatorPeriod/time.Second)
	for s := current - 1; s <= current+1; s++ {
		fits, err := hotp.ValidateCustom(code, uint64(s), secret, hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && fits {
			step, ok = s, true
		}
	}
	return step, ok
}

// plainCode is a code without the spaces and dashes that people type.
func plainCode(typed string) string {
	return strings.NewReplacer(" ", "", "-", "", "\t", "").Replace(typed)
}

// inGroups is a secret as a person types it off: four characters at a time.
func inGroups(secret string) string {
	var b strings.Builder
	for i, r := range secret {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
