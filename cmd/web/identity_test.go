package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
)

// throughProvider is a browser that has pressed the button on the sign-in page.
func (s *site) throughProvider(t *testing.T) *visit {
	t.Helper()
	v := s.visit(t)
	v.get("/sign-in?next=/apps")
	link := v.page.Find("[data-testid=provider-sign-in]").AttrOr("href", "")
	if link != "/sign-in/provider?next=%2Fapps" {
		t.Fatalf("the button leads to %q", link)
	}
	v.get(link)
	return v
}

func TestProviderSignsIn(t *testing.T) {
	p := newTestProvider(t)
	s := newSite(t, p.settings())
	v := s.throughProvider(t)
	v.want(200, "/apps")
	for name, want := range map[string]string{"scope": "openid email profile", "response_type": "code", "client_id": "changeover", "code_challenge_method": "S256", "prompt": ""} {
		if got := p.asked.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	user := s.userNamed(t, "chef@example.com")
	if user.IsAdmin || user.Name != "The Chef" || user.PasswordHash != nil {
		t.Errorf("made %+v", user)
	}
	if access, err := db.AccessOf(t.Context(), s.pool, user.ID); err != nil || access.Admin || len(access.Apps) != 0 {
		t.Errorf("with rights: %+v, %v", access, err)
	}
	v.get("/settings")
	v.wantText("linked since")

	// Known by the account from then on, whatever its address is, as long as that is let in.
	p.account("42", "head.chef@example.org")
	again := s.throughProvider(t)
	again.want(200, "/apps")
	again.get("/settings")
	again.wantText("chef@example.com")
	if users, err := db.ListUsers(t.Context(), s.pool); err != nil || len(users) != 1 {
		t.Errorf("%d users, %v", len(users), err)
	}
	s.wantSecretNowhere(t, map[string]string{"the client's secret": providerSecret, "a state": p.asked.Get("state"), "a nonce": p.asked.Get("nonce")})
	if audit := s.audit(t); !strings.Contains(audit, "chef@example.com sign in with the identity provider done With an account at "+strings.TrimPrefix(p.URL, "http://")) {
		t.Errorf("audit:\n%s", audit)
	}
}

func TestProviderAnswersThatDoNotHold(t *testing.T) {
	p := newTestProvider(t)
	s := newSite(t, p.settings())
	s.byAddress = newAttemptLimit(1, 1000, 1000)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const notHold = "does not hold, so nobody was signed in"
	for what, c := range map[string]struct {
		claims func(map[string]any)
		says   string
	}{
		"another nonce":         {func(c map[string]any) { c["nonce"] = "another" }, notHold},
		"no nonce":              {func(c map[string]any) { delete(c, "nonce") }, notHold},
		"for another program":   {func(c map[string]any) { c["aud"] = "another" }, notHold},
		"made for another":      {func(c map[string]any) { c["aud"], c["azp"] = []string{"changeover", "another"}, "another" }, notHold},
		"expired":               {func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() }, notHold},
		"of another issuer":     {func(c map[string]any) { c["iss"] = "https://evil.example" }, notHold},
		"an unverified address": {func(c map[string]any) { c["email_verified"] = false }, "has not verified your mail address"},
		"not a word about it":   {func(c map[string]any) { delete(c, "email_verified") }, "has not verified your mail address"},
		"no address":            {func(c map[string]any) { delete(c, "email") }, "has not verified your mail address"},
		"another domain":        {func(c map[string]any) { c["email"] = "chef@evil.example" }, "Addresses of evil.example are not let in here, only those of example.com, example.org."},
		"a domain below":        {func(c map[string]any) { c["email"] = "chef@sub.example.com" }, "are not let in here"},
		"two domains":           {func(c map[string]any) { c["email"] = "chef@evil.example@example.com" }, "are not let in here"},
	} {
		p.says(c.claims)
		v := s.throughProvider(t)
		if v.status != http.StatusForbidden || v.cookie(sessionCookie) != "" || !strings.Contains(strings.Join(strings.Fields(v.page.Find("main").Text()), " "), c.says) {
			t.Errorf("%s: %d: %s", what, v.status, v.text())
		}
	}
	p.says(nil)
	p.behaves(stranger, "")
	v := s.throughProvider(t)
	v.want(http.StatusForbidden, "/sign-in/provider/return")
	p.behaves(nil, "access_denied")
	v = s.throughProvider(t)
	v.want(http.StatusForbidden, "/sign-in/provider/return")
	v.wantText("did not sign you in (access_denied)")
	if users, err := db.ListUsers(t.Context(), s.pool); err != nil || len(users) != 0 {
		t.Errorf("%d users were made, %v", len(users), err)
	}
	if audit := s.audit(t); strings.Count(audit, "sign in with the identity provider refused") != 14 {
		t.Errorf("audit:\n%s", audit)
	}
}

// TestProviderAnswerCountsOnceForItsBrowser replays an answer, and gives one to
// another browser.
func TestProviderAnswerCountsOnceForItsBrowser(t *testing.T) {
	p := newTestProvider(t)
	s := newSite(t, p.settings())
	begin := func() (*visit, string, string) {
		t.Helper()
		v := s.visit(t)
		v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		v.get("/sign-in/provider")
		v.want(303, "/sign-in/provider")
		held := v.cookie(begunCookie)
		answer, err := v.client.Get(v.header.Get("Location")) // the provider
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		back, err := url.Parse(answer.Header.Get("Location"))
		if err != nil || !strings.HasPrefix(back.String(), s.cfg.URL.String()+"/sign-in/provider/return?") {
			t.Fatalf("sent back to %s, %v", back, err)
		}
		return v, back.RequestURI(), held
	}
	give := func(v *visit, held string) {
		u, _ := url.Parse(s.url)
		v.client.Jar.SetCookies(u, []*http.Cookie{{Name: s.cookieName(begunCookie), Value: held, Path: "/"}})
	}
	v, back, held := begin()
	other := s.visit(t)
	other.get(back) // a browser that has begun nothing
	other.want(http.StatusConflict, "/sign-in/provider/return")
	other, otherBack, _ := begin() // one that has begun its own
	_ = otherBack
	other.get(back)
	other.want(http.StatusConflict, "/sign-in/provider/return")
	v.get(back)
	if v.status != http.StatusSeeOther || v.cookie(sessionCookie) == "" {
		t.Fatalf("%d: %s", v.status, v.text())
	}
	v.get(back) // reloaded
	if v.status != http.StatusConflict {
		t.Errorf("reloaded: %d", v.status)
	}
	thief := s.visit(t) // with all that the browser held
	give(thief, held)
	thief.get(back)
	thief.want(http.StatusConflict, "/sign-in/provider/return")
	thief.wantText("was taken before")
	for _, forged := range []string{"", "AAAA", held[:len(held)-4] + "AAAA"} {
		give(thief, forged)
		thief.get(back)
		thief.want(http.StatusConflict, "/sign-in/provider/return")
	}
	if n, err := db.DeleteOldStates(t.Context(), s.pool); err != nil || n != 0 {
		t.Errorf("%d states forgotten, %v", n, err)
	}
}

func TestProviderLinksWhoIsHere(t *testing.T) {
	p := newTestProvider(t)
	s := newSite(t, p.settings())
	s.byAddress = newAttemptLimit(1, 1000, 1000)
	cook := s.signedInAs(t, "cook@example.com", false)
	admin := s.signedIn(t, "mei@example.com")
	id := func(email string) int64 { return s.userNamed(t, email).ID }

	// A verified address of a domain that is let in is enough for who has no rights of
	// an administrator; a second account of the same address is not.
	p.account("7", "Cook@Example.com")
	linked := s.throughProvider(t)
	linked.want(200, "/apps")
	if since, err := db.IdentitySince(t.Context(), s.pool, id("cook@example.com"), p.URL); err != nil || since == nil {
		t.Errorf("not linked: %v", err)
	}
	// Whoever set the account up may not have had its address: no other way in is left.
	cook.get("/apps")
	cook.want(200, "/sign-in")
	if u := s.userNamed(t, "cook@example.com"); u.PasswordHash != nil {
		t.Error("the password from before still counts")
	}
	cook = linked
	p.account("8", "cook@example.com")
	v := s.throughProvider(t)
	v.want(http.StatusConflict, "/sign-in/provider/return")
	v.wantText("linked to another account")
	cook.get("/apps")
	cook.want(200, "/apps") // what was refused ends nothing

	// An administrator links under Settings, signed in and freshly proved.
	p.account("9", "mei@example.com")
	v = s.throughProvider(t)
	v.want(http.StatusForbidden, "/sign-in/provider/return")
	v.wantText("not linked to")
	s.age(t)
	admin.get("/sign-in/provider?next=/settings")
	admin.want(http.StatusForbidden, "/sign-in/provider/return")
	if _, err := s.pool.Exec(t.Context(), `update sessions set proved_at = now()`); err != nil {
		t.Fatal(err)
	}
	p.account("9", "cook@example.com") // another's address
	admin.get("/sign-in/provider?next=/settings")
	admin.want(http.StatusForbidden, "/sign-in/provider/return")
	admin.wantText("You are signed in as mei@example.com")
	p.account("9", "mei@example.com")
	admin.get("/sign-in/provider?next=/settings")
	admin.want(200, "/settings")
	if p.asked.Get("prompt") != "login" || p.asked.Get("max_age") != "0" {
		t.Errorf("asked %v", p.asked)
	}
	v = s.throughProvider(t)
	v.want(200, "/apps")

	// The second factor is asked for here, too.
	if _, err := s.pool.Exec(t.Context(), `update sessions set proved_at = now()`); err != nil {
		t.Fatal(err)
	}
	cook.enrols(s)
	p.account("7", "cook@example.com")
	v = s.throughProvider(t)
	v.want(200, "/sign-in/second")
}

// Who has no password signs in again as a proof, and sets one only then.
func TestProviderIsAProof(t *testing.T) {
	p := newTestProvider(t)
	s := newSite(t, p.settings())
	v := s.throughProvider(t)
	v.get("/settings")
	s.age(t)
	v.submit("/settings/password", "password", secondPassword, "password_again", secondPassword)
	v.want(http.StatusForbidden, "/settings/password")
	v.get("/settings")
	v.submit("/settings/tokens", "token_name", "deploys")
	v.want(http.StatusForbidden, "/settings/tokens")
	link := v.page.Find("[data-testid=provider-proof]").AttrOr("href", "")
	p.says(func(c map[string]any) { c["auth_time"] = time.Now().Add(-time.Hour).Unix() })
	v.get(link) // it did not ask again
	v.want(http.StatusForbidden, "/sign-in/provider/return")
	p.says(func(c map[string]any) { c["auth_time"] = time.Now().Unix() })
	v.get(link)
	v.want(200, "/databases")
	v.get("/settings")
	v.submit("/settings/tokens", "token_name", "deploys")
	v.want(200, "/settings/tokens")
	v.get("/settings")
	v.submit("/settings/password", "password", secondPassword, "password_again", secondPassword)
	v.want(200, "/settings")
}

func TestProviderThatIsAway(t *testing.T) {
	p := newTestProvider(t)
	settings := p.settings()
	s := newSite(t, settings)
	p.Close()
	v := s.throughProvider(t)
	v.want(http.StatusServiceUnavailable, "/sign-in/provider")
	v.wantText("did not answer as an identity provider does")
	v.wantText("Sign in")
	// Inside the network it is asked only where that is allowed.
	q := newTestProvider(t)
	settings = q.settings()
	delete(settings, "CHANGEOVER_OUTGOING_ALLOW")
	s = newSite(t, settings)
	v = s.throughProvider(t)
	v.want(http.StatusForbidden, "/sign-in/provider")
	v.wantText("CHANGEOVER_OUTGOING_ALLOW")
	// Without one there is no button, and nothing behind it.
	s = newSite(t, nil)
	v = s.visit(t)
	for _, path := range []string{"/sign-in/provider", "/sign-in/provider/return?state=x"} {
		v.get(path)
		if v.status != 404 {
			t.Errorf("%s: %d", path, v.status)
		}
	}
}
