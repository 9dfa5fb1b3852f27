package main

import (
	"net/http"
	"path"
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
)

// age makes every session's last proof older than it may be for what destroys.
func (s *site) age(t testing.TB) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), `update sessions set proved_at = now() - interval '11 minutes'`); err != nil {
		t.Fatal(err)
	}
}

// What destroys or gives a way in asks for a proof, and nothing else does.
func TestWhatDestroysAsksForAProof(t *testing.T) {
	s := newSite(t, nil)
	destroys := map[string]bool{"destroy": true, "unfollow": true, "separate": true, "detach": true, "delete": true, "fence": true, "destroy-old-server": true, "recreate": true}
	alsoAsk := map[string]string{
		"/settings/email": "it is what its person is recognized by", "/settings/reset-link": "it takes over somebody's sign-in",
		"/settings/mail":                "it decides where reset links go",
		"/settings/tokens":              "it gives a program a way in",
		"/settings/authenticator/begin": "it gives a way in", "/settings/authenticator": "it gives a way in", "/settings/recovery-codes": "they are ways in",
		"/settings/authenticator/remove": "it takes a lock off", "/settings/passkeys/:id/remove": "it takes a lock off",
		"/settings/provider/unlink": "it takes a way in",
		"/settings/passkeys/new":    "it gives a way in", "/settings/passkeys": "it gives a way in",
		"/apps/:app/collaborators": "it gives somebody a way in", "/apps/:app/collaborators/:id/role": "it may give more rights",
		"/settings/people": "it gives somebody a way in", "/settings/people/:id/email": "it is what its person is recognized by",
		"/settings/people/:id/admin": "it gives all rights", "/settings/people/:id/deactivate": "it takes every way in", "/settings/people/:id/reactivate": "it gives a way in",
	}
	found := 0
	for _, r := range s.routes() {
		want := r.method == post && (destroys[path.Base(r.path)] || alsoAsk[r.path] != "")
		if got := r.flags&fresh != 0; got != want {
			t.Errorf("%s %s asks for a proof: %v, want %v", r.method, r.path, got, want)
		}
		if want {
			found++
		}
	}
	if all := len(alsoAsk) + 9; found != all {
		t.Errorf("%d routes ask for a proof; the tables above know %d", found, all)
	}
}

func TestProofIsAskedAndTheFormCarriesOn(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	dbtest.App(t, s.pool, "sushi")
	there := func() bool {
		_, err := db.AppByName(t.Context(), s.pool, "sushi")
		return err == nil
	}
	v.get("/apps/sushi/destroy")
	s.age(t)
	before := v.cookie(sessionCookie)
	v.submit("/apps/sushi/destroy", "confirm", "sushi")
	v.want(403, "/apps/sushi/destroy")
	v.wantText("Confirm that it is you")
	if !there() || v.page.Find("input[name=confirm]").AttrOr("value", "") != "sushi" {
		t.Fatal("it was destroyed, or what was typed is lost")
	}
	if back := v.page.Find("form a.button").AttrOr("href", ""); back != "/" {
		t.Errorf("back leads to %s", back)
	}
	v.submit("/apps/sushi/destroy", proofPassword, "not this one, sorry")
	v.want(422, "/apps/sushi/destroy")
	v.wantText("This is not your password.")
	if strings.Contains(v.body, "not this one") || v.page.Find("input[name=confirm]").AttrOr("value", "") != "sushi" || !there() {
		t.Fatal("the page repeats the password, or what was typed is lost")
	}
	v.submit("/apps/sushi/destroy", proofPassword, testPassword)
	v.want(200, "/apps")
	if there() {
		t.Error("it is still there after the proof")
	}
	if after := v.cookie(sessionCookie); after == before || after == "" {
		t.Error("the session has the same token after the proof")
	}

	// The proof holds for the next act, and no proof makes up for a wrong one.
	dbtest.App(t, s.pool, "kitchen")
	v.get("/apps/kitchen/destroy")
	v.submit("/apps/kitchen/destroy", "confirm", "not it")
	v.want(422, "/apps/kitchen/destroy")
	s.age(t)
	v.submit("/apps/kitchen/destroy", "confirm", "not it")
	v.submit("/apps/kitchen/destroy", proofPassword, testPassword)
	v.want(422, "/apps/kitchen/destroy")
	if strings.Contains(v.body, testPassword) {
		t.Error("the page repeats the password")
	}
	// The form of that answer has the session's new token.
	v.submit("/apps/kitchen/destroy", "confirm", "kitchen")
	v.want(200, "/apps")
	s.wantSecretNowhere(t, map[string]string{"the password": testPassword})

	// Guesses are counted like those at the sign-in page.
	dbtest.App(t, s.pool, "salad")
	v.get("/apps/salad/destroy")
	s.age(t)
	v.submit("/apps/salad/destroy", "confirm", "salad")
	for range 10 {
		v.submit("/apps/salad/destroy", proofPassword, "guess number whatever")
	}
	v.submit("/apps/salad/destroy", proofPassword, testPassword)
	v.want(http.StatusTooManyRequests, "/apps/salad/destroy")
}

func TestProgramsAreNotAskedForAProof(t *testing.T) {
	s := newSite(t, nil)
	token := s.token(t)
	dbtest.App(t, s.pool, "sushi")
	s.age(t)
	if status, body := apiRequest(t, s, post, "/apps/sushi/destroy", token, `{"confirm": "sushi"}`); status >= 300 {
		t.Errorf("%d %s", status, body)
	}
}
