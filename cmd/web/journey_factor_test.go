package main

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// signInAs fills the sign-in page.
func (b *tab) signInAs(email string) {
	b.t.Helper()
	b.open("/sign-in")
	b.fill("email", email)
	b.fill("password", testPassword)
	b.click("sign-in")
}

// signOut uses the account's menu.
func (b *tab) signOut() {
	b.t.Helper()
	b.open("/settings")
	b.run("open the account's menu", chromedp.Click(chromedp.CSS("details.account summary")))
	b.click("sign-out")
	b.awaitPath(waitForPage, "/sign-in")
}

// TestAuthenticatorInABrowser sets an authenticator app up, signs in with it,
// and with a recovery code on the day on which it is lost.
func TestAuthenticatorInABrowser(t *testing.T) {
	findBrowser(t)
	s := newSite(t, nil)
	s.signedIn(t, "mei@example.com")
	b := newTab(t, s.url)
	b.signInAs("mei@example.com")
	b.awaitPath(waitForPage, "/databases")
	b.open("/settings")
	b.click("authenticator-begin")
	b.see("authenticator-form")
	b.await(waitForPage, "the picture is drawn", `document.querySelector("img.qr").naturalWidth > 0`)
	secret := b.typeCode("authenticator-secret")
	b.click("authenticator-confirm")
	b.see("recovery-codes")
	codes := strings.Fields(b.text("recovery-codes"))
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}
	b.click("recovery-kept")
	b.awaitText(waitForPage, "recovery-left", "10 codes left")

	s.rest(t)
	b.signOut()
	b.signInAs("mei@example.com")
	b.see("second-form")
	b.fill("code", codeAt(t, secret, time.Now()))
	b.click("second")
	b.awaitPath(waitForPage, "/databases")

	b.signOut()
	b.signInAs("mei@example.com")
	b.see("second-form")
	b.fill("code", codes[0])
	b.click("second")
	b.awaitPath(waitForPage, "/databases")
	b.open("/settings")
	b.awaitText(waitForPage, "recovery-left", "9 codes left")
	b.wantNoErrors()
}
