package main

import (
	"strings"
	"time"

	"changeover/internal/db"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

const secondUser = "second@example.com"

// factorPages are the pages of what people sign in with besides a password. They
// are the last of those that begin signed out: each signs somebody of its own
// in, since a change of factors signs every other browser of a person out.
func (d *seeded) factorPages() []shownPage {
	secret := d.person(secondUser, true)
	for _, name := range []string{"begins", "refused", "codes"} {
		d.person(name+"@example.com", false)
	}
	for _, email := range []string{pagesUser, secondUser} {
		d.passkey(email, "laptop", "localhost")
		d.passkey(email, "the key on the ring", "db.example.com")
	}
	half := func(b *tab) {
		d.signInAnew(b, secondUser)
		b.see("second-form")
	}
	begin := func(b *tab, email string) {
		d.signInAnew(b, email)
		b.awaitPath(waitForPage, "/databases")
		b.open("/settings")
		b.click("authenticator-begin")
		b.see("authenticator-form")
	}
	return []shownPage{
		{route: "/sign-in/second", name: "sign-in-second", path: "/sign-in", signedOut: true, then: half},
		{route: "/sign-in/second", name: "sign-in-second-refused", path: "/sign-in", signedOut: true, then: func(b *tab) {
			half(b)
			b.fill("code", "000000")
			b.click("second")
			b.see("error-code")
		}},
		{route: "/settings/authenticator", name: "settings-authenticator", path: "/sign-in", signedOut: true, then: func(b *tab) { begin(b, "begins@example.com") }},
		{route: "/settings/authenticator", name: "settings-authenticator-refused", path: "/sign-in", signedOut: true, then: func(b *tab) {
			begin(b, "refused@example.com")
			b.fill("code", "123")
			b.click("authenticator-confirm")
			b.see("error-code")
		}},
		{route: "/settings/authenticator", name: "settings-recovery-codes", path: "/sign-in", signedOut: true, then: func(b *tab) {
			begin(b, "codes@example.com")
			b.typeCode("authenticator-secret")
			b.click("authenticator-confirm")
			b.see("recovery-codes")
		}},
		{route: "/settings", name: "settings-passkey-new", path: "/sign-in", signedOut: true, then: func(b *tab) {
			d.signInAnew(b, "begins@example.com")
			b.awaitPath(waitForPage, "/databases")
			b.open("/settings")
			b.fill("passkey_name", "laptop")
			b.click("passkey-new")
			b.see("passkey-make")
		}},
		{route: "/settings", name: "settings-second-factor", path: "/sign-in", signedOut: true, then: func(b *tab) {
			half(b)
			b.fill("code", codeAt(b.t, secret, time.Now()))
			b.click("second")
			b.awaitPath(waitForPage, "/databases")
			b.open("/settings")
			b.see("authenticator-remove")
		}},
	}
}

// passkey is one of a person's, as far as the pages look at it.
func (d *seeded) passkey(email, name, site string) {
	d.t.Helper()
	user, err := db.UserByEmail(d.t.Context(), d.pool, email)
	d.must(err)
	d.must(db.AddPasskey(d.t.Context(), d.pool, db.NewPasskey{UserID: user.ID, Name: name, Site: site, CredentialID: []byte(email + name), Credential: []byte("{}")}))
}

// signInAnew forgets who was signed in, and types the password of somebody else.
func (d *seeded) signInAnew(b *tab, email string) {
	b.t.Helper()
	// The page before has a socket, which would come back without a session and be refused.
	b.run("leave the page", chromedp.Navigate("about:blank"))
	call(b, "forget the cookies", network.ClearBrowserCookies, struct{}{})
	b.signInAs(email)
}

// typeCode reads the secret off the page and types the code that an app shows.
func (b *tab) typeCode(secretID string) string {
	b.t.Helper()
	secret := strings.ReplaceAll(b.text(secretID), " ", "")
	b.fill("code", codeAt(b.t, secret, time.Now()))
	return secret
}

// person is a fresh user; where a code is asked of them it returns the secret.
func (d *seeded) person(email string, authenticator bool) (secret string) {
	d.t.Helper()
	ctx := d.t.Context()
	user, err := db.CreateUser(ctx, d.pool, email, false)
	d.must(err)
	hash, err := d.passwords.hash(ctx, testPassword)
	d.must(err)
	d.must(db.SetPassword(ctx, d.pool, user.ID, hash))
	if !authenticator {
		return ""
	}
	secret, err = newAuthenticator()
	d.must(err)
	d.must(db.BeginAuthenticator(ctx, d.pool, d.sealer, user.ID, secret))
	_, err = db.SpendAuthenticatorStep(ctx, d.pool, user.ID, 1, true)
	d.must(err)
	return secret
}
