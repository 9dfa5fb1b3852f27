package main

import (
	"net/http"
	"net/url"
	"slices"
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

// destroying is what destroys or gives away, by path, and what that is.
func destroying() map[string]string {
	return map[string]string{
		"/databases/:database/destroy": "data", "/databases/:database/destroy-old-server": "data", "/databases/:database/recreate": "a follower",
		"/databases/:database/unfollow": "a follower, for good", "/databases/:database/separate": "that it can be led back", "/databases/:database/fence": "writes",
		"/databases/:database/promote": "where an app's data goes", "/databases/:database/attachments": "gives an app the data",
		"/databases/:database/attachments/:id/detach": "what an app connects with",
		"/apps/:app/destroy":                          "an app", "/apps/:app/config-vars/:name/delete": "a value", "/apps/:app/leave": "one's own role",
		"/apps/:app/collaborators": "gives a way in", "/apps/:app/collaborators/:id/role": "may give more rights", "/apps/:app/collaborators/:id/remove": "somebody's role",
		"/maintenances/calendar": "gives a way in, to read", "/webhooks/:id/secret": "gives a secret, and ends the one before", "/webhooks/:id/remove": "a webhook and its record",
		"/settings/email": "what its person is recognized by", "/settings/reset-link": "takes over somebody's sign-in", "/settings/tokens": "gives a program a way in",
		"/settings/mail": "decides where reset links go", "/settings/mail/remove": "the ways of notices and links",
		"/settings/authenticator/begin": "gives a way in", "/settings/authenticator": "gives a way in", "/settings/authenticator/remove": "a lock",
		"/settings/passkeys/new": "gives a way in", "/settings/passkeys": "gives a way in", "/settings/passkeys/:id/remove": "a lock",
		"/settings/recovery-codes": "gives ways in", "/settings/provider/unlink": "a way in",
		"/settings/people": "gives a way in", "/settings/people/:id/email": "what its person is recognized by", "/settings/people/:id/admin": "gives all rights",
		"/settings/people/:id/deactivate": "every way in", "/settings/people/:id/reactivate": "gives a way in",
	}
}

// Every route that changes something asks for a proof, or says in routes.go why
// not; what the table above names does ask, and nothing is done before the answer.
func TestWhatDestroysAsksForAProof(t *testing.T) {
	e := newEstate(t)
	forms := map[string]url.Values{}
	for _, row := range slices.Concat(settingsRights(), noticeRights(), factorRights(), maintenanceRights(), peopleRights(), poolRights(), rights(), lastRights()) {
		forms[row.route] = row.form
	}
	destroys, signOut := destroying(), "/sign-out"
	for _, r := range e.routes() {
		why := 0
		for flag, reason := range noProof() {
			if r.flags&flag != 0 && reason != "" {
				why++
			}
		}
		asks := r.flags&fresh != 0
		switch {
		case r.method == get && (asks || why > 0):
			t.Errorf("GET %s changes nothing, and has a word about proofs", r.path)
		case r.method == post && asks == (why == 1) || why > 1:
			t.Errorf("POST %s: asks for a proof: %v, and has %d reasons for not asking; want the flag fresh, or one of those that noProof in routes.go explains", r.path, asks, why)
		case r.method == post && asks != (destroys[r.path] != ""):
			t.Errorf("POST %s asks for a proof: %v; the table of what destroys or gives away says %q", r.path, asks, destroys[r.path])
		}
		if r.method == post {
			delete(destroys, r.path)
		}
		if r.method != post || r.who == public || r.path == signOut {
			continue
		}
		e.age(t)
		before := e.contents(t)
		e.ask(t, theAdmin, post, e.path(r.path), forms[post+" "+r.path])
		v := e.visits[theAdmin]
		if asked := v.page.Find("[data-testid=proof]").Length() == 1; asked != asks || asks && v.status != http.StatusForbidden {
			t.Errorf("POST %s without a proof of late: %d, asked for one: %v\n%s", r.path, v.status, asked, v.text())
		}
		for name, sum := range e.contents(t) {
			if asks && name != "audit" && sum != before[name] {
				t.Errorf("POST %s changes %s before the proof", r.path, name)
			}
		}
	}
	if len(destroys) > 0 {
		t.Errorf("no routes: %v", destroys)
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
