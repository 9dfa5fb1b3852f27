package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"

	"github.com/labstack/echo/v4"
)

func TestPasskeyIsAddedAndSignsIn(t *testing.T) {
	s := newSite(t, nil)
	s.signedIn(t, "mei@example.com")
	v := s.onLocalhost(t, "mei@example.com")
	other := s.visitSignsIn(t, "mei@example.com")
	v.get("/settings")
	v.submit("/settings/passkeys/new", "passkey_name", " ")
	v.want(422, "/settings/passkeys/new")
	k := v.addPasskey(t, "laptop")
	v.want(200, "/settings/passkeys")
	v.wantText("The passkey laptop is added.")
	if n := len(strings.Fields(v.page.Find("[data-testid=recovery-codes]").Text())); n != 10 {
		t.Errorf("%d recovery codes with the first factor", n)
	}
	other.get("/databases")
	other.want(200, "/sign-in")
	phone := v.addPasskey(t, "phone")
	v.want(200, "/settings") // there are recovery codes already
	v.wantText("phone")

	// By the passkey alone, from the sign-in page, to where one wanted to go.
	for _, key := range []*softKey{k, phone} {
		in := softVisit(s.visit(t))
		in.get("/sign-in?next=/apps")
		o := in.asked("/sign-in/passkey/options", "")
		if len(o.PublicKey.AllowCredentials) != 0 || o.PublicKey.RPID != "localhost" || o.PublicKey.UserVerification != "required" {
			t.Errorf("asked for %+v", o)
		}
		in.submit("/sign-in/passkey", "credential", key.used(o), "next", "/apps")
		in.want(200, "/apps")
	}
	if audit := s.audit(t); !strings.Contains(audit, "mei@example.com sign in with a passkey done With a passkey.") {
		t.Errorf("the audit:\n%s", audit)
	}
	// At the address the same site knows of no passkey, and says so.
	v.base = strings.Replace(v.base, "localhost", "127.0.0.1", 1)
	in := s.visit(t)
	in.get("/sign-in")
	if in.page.Find("[data-testid=passkey-sign-in]").Length() != 0 {
		t.Error("a passkey is offered where there cannot be one")
	}
}

// TestPasskeyAnswersThatDoNotHold sends what a thief or a broken browser would.
func TestPasskeyAnswersThatDoNotHold(t *testing.T) {
	s := newSite(t, nil)
	s.byAddress = newAttemptLimit(1, 1000, 1000)
	s.signedIn(t, "mei@example.com")
	v := s.onLocalhost(t, "mei@example.com")
	k := v.addPasskey(t, "laptop")
	// An answer that was taken, sent again by the same browser.
	replay := softVisit(s.visit(t))
	replay.get("/sign-in")
	answer := k.used(replay.asked("/sign-in/passkey/options", ""))
	csrf := replay.csrf()
	replay.post("/sign-in/passkey", url.Values{"csrf_token": {csrf}, "credential": {answer}})
	replay.want(200, "/databases")
	replay.get("/settings")
	replay.post("/sign-in/passkey", url.Values{"csrf_token": {replay.csrf()}, "credential": {answer}})
	if replay.status != http.StatusConflict {
		t.Errorf("sent again: %d", replay.status)
	}
	for what, c := range map[string]struct {
		spoil  func(k *softKey, o *browserOptions, in *visit) // before it is signed
		status int
	}{
		"another site's":           {func(k *softKey, _ *browserOptions, _ *visit) { k.site = "evil.example" }, 422},
		"at another origin":        {func(k *softKey, _ *browserOptions, _ *visit) { k.origin = "http://localhost:1" }, 422},
		"not unlocked":             {func(k *softKey, _ *browserOptions, _ *visit) { k.flags = 1 }, 422},
		"nobody there":             {func(k *softKey, _ *browserOptions, _ *visit) { k.flags = 4 }, 422},
		"another person's handle":  {func(k *softKey, _ *browserOptions, _ *visit) { k.handle = "AAAA" }, 422},
		"an unknown key":           {func(k *softKey, _ *browserOptions, in *visit) { k.id = []byte("0123456789abcdef") }, 422},
		"signed by another":        {func(k *softKey, _ *browserOptions, in *visit) { k.key = newSoftKey(t, in).key }, 422},
		"a copy that counted less": {func(k *softKey, _ *browserOptions, _ *visit) { k.counter = 0 }, 403},
		"a challenge of its own": {func(_ *softKey, o *browserOptions, _ *visit) {
			o.PublicKey.Challenge = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		}, 409},
		"another browser's": {func(_ *softKey, o *browserOptions, _ *visit) {
			stranger := softVisit(s.visit(t))
			stranger.get("/sign-in")
			*o = stranger.asked("/sign-in/passkey/options", "")
		}, 409},
		"too late": {func(*softKey, *browserOptions, *visit) {
			if _, err := s.pool.Exec(t.Context(), `update passkey_challenges set created_at = now() - interval '6 minutes'`); err != nil {
				t.Fatal(err)
			}
		}, 409},
	} {
		spoilt := *k
		in := softVisit(s.visit(t))
		in.get("/sign-in")
		o := in.asked("/sign-in/passkey/options", "")
		c.spoil(&spoilt, &o, in)
		in.submit("/sign-in/passkey", "credential", spoilt.used(o))
		if in.status != c.status || in.cookie(sessionCookie) != "" {
			t.Errorf("%s: %d, want %d: %s", what, in.status, c.status, in.text())
		}
		if c.status != http.StatusConflict { // the challenge is used up by that
			in.submit("/sign-in/passkey", "credential", k.used(o))
			in.want(http.StatusConflict, "/sign-in/passkey")
		}
	}
	for _, junk := range []string{"", "{}", "not json", `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`} {
		in := softVisit(s.visit(t))
		in.get("/sign-in")
		in.submit("/sign-in/passkey", "credential", junk)
		in.want(422, "/sign-in/passkey")
	}
	// The one that holds still does.
	in := softVisit(s.visit(t))
	in.get("/sign-in")
	k.counter += 10
	in.submit("/sign-in/passkey", "credential", k.used(in.asked("/sign-in/passkey/options", "")))
	in.want(200, "/databases")
	if n, err := db.DeleteOldPasskeyChallenges(t.Context(), s.pool); err != nil || n == 0 {
		t.Errorf("%d old challenges forgotten, %v", n, err)
	}
}

func TestPasskeyIsASecondFactorAndAProof(t *testing.T) {
	s := newSite(t, nil)
	s.signedIn(t, "mei@example.com")
	s.signedInAs(t, "cook@example.com", false)
	v := s.onLocalhost(t, "mei@example.com")
	k := v.addPasskey(t, "laptop")
	cook := s.onLocalhost(t, "cook@example.com")
	cooks := cook.addPasskey(t, "cook's")

	half := softVisit(s.visit(t))
	half.get("/sign-in")
	half.submit("/sign-in", "email", "mei@example.com", "password", testPassword)
	half.want(200, "/sign-in/second")
	// Another's passkey is no second factor, nor is an answer to the sign-in page.
	half.submit("/sign-in/second", "credential", cooks.used(half.asked("/sign-in/passkey/options", "second")))
	half.want(422, "/sign-in/second")
	half.submit("/sign-in/second", "credential", k.used(half.asked("/sign-in/passkey/options", "")))
	half.want(409, "/sign-in/second")
	half.submit("/sign-in/second", "credential", k.used(half.asked("/sign-in/passkey/options", "second")))
	half.want(200, "/databases")

	// What destroys takes a passkey in place of the password, and keeps the form.
	dbtest.App(t, s.pool, "sushi")
	half.get("/apps/sushi/destroy")
	s.age(t)
	half.submit("/apps/sushi/destroy", "confirm", "sushi")
	half.want(403, "/apps/sushi/destroy")
	csrf := half.csrf()
	send := func(o browserOptions, key *softKey) {
		t.Helper()
		half.post("/apps/sushi/destroy", url.Values{"csrf_token": {csrf}, "confirm": {"sushi"}, proofPasskey: {key.used(o)}})
	}
	send(half.asked("/settings/passkeys/options", ""), cooks)
	half.want(422, "/apps/sushi/destroy")
	send(half.asked("/sign-in/passkey/options", ""), k)
	half.want(409, "/apps/sushi/destroy")
	send(half.asked("/settings/passkeys/options", ""), k)
	half.want(200, "/apps")

	// The last factor takes the recovery codes along.
	half.get("/settings")
	list, err := db.ListPasskeys(t.Context(), s.pool, s.userNamed(t, "mei@example.com").ID)
	if err != nil || len(list) != 1 || list[0].LastUsedAt == nil {
		t.Fatalf("%+v, %v", list, err)
	}
	another := fmt.Sprintf("/settings/passkeys/%d/remove", list[0].ID+1) // the cook's
	half.post(another, url.Values{"csrf_token": {half.csrf()}})
	if half.status != 404 {
		t.Errorf("another's passkey: %d", half.status)
	}
	half.get("/settings")
	half.submit(fmt.Sprintf("/settings/passkeys/%d/remove", list[0].ID))
	half.want(200, "/settings")
	if f, err := db.FactorsOf(t.Context(), s.pool, s.userNamed(t, "mei@example.com").ID); err != nil || f.Any() || f.RecoveryCodes != 0 {
		t.Errorf("left %+v, %v", f, err)
	}
	s.visitSignsIn(t, "mei@example.com")
}

func TestPasskeySite(t *testing.T) {
	for _, c := range []struct{ url, host, name, origin, says string }{
		{"http://127.0.0.1:8090", "127.0.0.1:8090", "", "", "Open it at http://localhost:8090 instead"},
		{"http://127.0.0.1:8090", "localhost:8090", "localhost", "http://localhost:8090", ""},
		{"https://db.example.com", "db.example.com", "db.example.com", "https://db.example.com", ""},
		{"https://db.example.com:8443", "DB.example.com:8443", "db.example.com", "https://db.example.com:8443", ""},
		{"http://db.example.com", "db.example.com", "", "", "Serve this site with https"},
		{"http://10.0.0.7", "10.0.0.7", "", "", "Give it one, with https, in CHANGEOVER_URL"},
		{"https://10.0.0.7", "[::1]:8090", "", "", "Open it at http://localhost:8090 instead"},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		a := &app{cfg: config{URL: u}}
		r := httptest.NewRequest(http.MethodGet, "/settings", nil)
		r.Host = c.host
		got := a.passkeySiteOf(echo.New().NewContext(r, httptest.NewRecorder()))
		if c.says != "" {
			if !strings.Contains(got.whyNot, c.says) {
				t.Errorf("%s at %s says %q, want %q", c.url, c.host, got.whyNot, c.says)
			}
		} else if got.whyNot != "" || got.name != c.name || got.origin != c.origin {
			t.Errorf("%s at %s: %+v", c.url, c.host, got)
		}
	}
}
