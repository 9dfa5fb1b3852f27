package main

import (
	"strings"
	"testing"
	"time"

	"changeover/internal/db/dbtest"

	"github.com/chromedp/cdproto/webauthn"
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

// withPasskeys gives the tab a device that makes passkeys and unlocks them.
func (b *tab) withPasskeys() {
	b.t.Helper()
	call(b, "let passkeys be simulated", webauthn.Enable, webauthn.EnableParams{})
	call(b, "add a device", webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
}

// pressPasskey waits until the script of the button is there.
func (b *tab) pressPasskey(testID string) {
	b.t.Helper()
	b.await(waitForPage, testID+" can be pressed", `document.querySelector('[data-testid="`+testID+`"]')?.disabled === false`)
	b.click(testID)
}

// addPasskey adds one under Settings.
func (b *tab) addPasskey(name string) {
	b.t.Helper()
	b.open("/settings")
	b.fill("passkey_name", name)
	b.click("passkey-new")
	b.see("passkey-make")
	b.pressPasskey("passkey-make")
}

// TestPasskeyInABrowser adds a passkey with a browser's own device, signs out,
// and signs in by it alone, as the second factor, and as a proof.
func TestPasskeyInABrowser(t *testing.T) {
	findBrowser(t)
	s := newSite(t, nil)
	s.signedIn(t, "mei@example.com")
	dbtest.App(t, s.pool, "sushi")
	b := newTab(t, strings.Replace(s.url, "127.0.0.1", "localhost", 1))
	b.withPasskeys()
	b.signInAs("mei@example.com")
	b.awaitPath(waitForPage, "/databases")
	b.addPasskey("laptop")
	b.see("recovery-codes")
	// The same device is not added twice, and the page says why.
	b.addPasskey("laptop again")
	b.await(waitForPage, "the browser's refusal", `document.querySelector("[data-passkey-error]:not([hidden])")?.innerText.includes("has a passkey for you already")`)

	b.signOut()
	b.open("/sign-in?next=/apps")
	b.see("passkey-sign-in")
	b.pressPasskey("passkey-sign-in")
	b.awaitPath(waitForPage, "/apps")

	b.signOut()
	b.signInAs("mei@example.com")
	b.see("passkey-second")
	b.pressPasskey("passkey-second")
	b.awaitPath(waitForPage, "/databases")

	b.open("/apps/sushi/destroy")
	s.age(t)
	b.fill("confirm", "sushi")
	b.click("confirm-button")
	b.see("passkey-proof")
	b.pressPasskey("passkey-proof")
	b.await(waitForPage, "the app is gone", `location.pathname === "/apps"`)
	for len(b.errs) > 0 {
		if text := <-b.errs; !isStatus(text) { // 403 is how the proof is asked for
			t.Errorf("the page complained: %s", text)
		}
	}
}
