package main

import (
	"strings"
	"time"

	"changeover/internal/db"

	"github.com/chromedp/chromedp"
)

const secondUser = "second@example.com"

// factorPages are the pages of what people sign in with besides a password.
func (d *seeded) factorPages() []shownPage {
	d.withAuthenticator(secondUser)
	half := func(b *tab) {
		b.fill("email", secondUser)
		b.fill("password", testPassword)
		b.click("sign-in")
		b.see("second-form")
	}
	begin := func(b *tab) {
		d.prove("now()")
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
		{route: "/settings/authenticator", name: "settings-authenticator", path: "/settings", then: begin},
		{route: "/settings/authenticator", name: "settings-authenticator-refused", path: "/settings", then: func(b *tab) {
			begin(b)
			b.fill("code", "123")
			b.click("authenticator-confirm")
			b.see("error-code")
		}},
		{route: "/settings/authenticator", name: "settings-recovery-codes", path: "/settings", then: func(b *tab) {
			begin(b)
			b.typeCode("authenticator-secret")
			b.click("authenticator-confirm")
			b.see("recovery-codes")
		}},
		{route: "/settings", name: "settings-second-factor", path: "/settings", then: func(b *tab) {
			b.see("authenticator-remove")
			b.run("look at it", chromedp.ScrollIntoView(id("second-factor")))
		}},
	}
}

// typeCode reads the secret off the page and types the code that an app shows.
func (b *tab) typeCode(secretID string) string {
	b.t.Helper()
	secret := strings.ReplaceAll(b.text(secretID), " ", "")
	b.fill("code", codeAt(b.t, secret, time.Now()))
	return secret
}

// withAuthenticator is a fresh user whose sign-in asks for a code.
func (d *seeded) withAuthenticator(email string) {
	d.t.Helper()
	ctx := d.t.Context()
	user, err := db.CreateUser(ctx, d.pool, email, false)
	d.must(err)
	hash, err := d.passwords.hash(ctx, testPassword)
	d.must(err)
	d.must(db.SetPassword(ctx, d.pool, user.ID, hash))
	secret, err := newAuthenticator()
	d.must(err)
	d.must(db.BeginAuthenticator(ctx, d.pool, d.sealer, user.ID, secret))
	_, err = db.SpendAuthenticatorStep(ctx, d.pool, user.ID, 1, true)
	d.must(err)
}
