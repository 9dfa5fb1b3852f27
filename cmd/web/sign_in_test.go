package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
)

func TestSignInLink(t *testing.T) {
	s := newSite(t, nil)
	user, err := db.CreateUser(t.Context(), s.pool, firstAdmin, true)
	if err != nil {
		t.Fatal(err)
	}
	token, err := db.CreateSignInLink(t.Context(), s.pool, user.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	path := "/sign-in/" + token
	v := s.visit(t)
	v.get(path)
	v.want(200, path)
	v.get(path) // looking does not use it up
	v.want(200, path)

	v.submit(path, "password", "short", "password_again", "short")
	v.want(422, path)
	v.wantText("needs at least 15")
	v.submit(path, "password", testPassword, "password_again", testPassword+"x")
	v.want(422, path)
	v.wantText("The two passwords differ.")
	v.submit(path, "password", testPassword, "password_again", testPassword)
	v.want(200, "/databases")

	other := s.visit(t)
	other.get(path)
	other.want(404, path)
	other.wantText("was used or has expired")
	other.get("/databases")
	other.want(200, "/sign-in")

	expired, err := db.CreateSignInLink(t.Context(), s.pool, user.ID, -time.Second)
	if err != nil {
		t.Fatal(err)
	}
	other.get("/sign-in/" + expired)
	other.want(404, "/sign-in/"+expired)

	for _, secret := range []string{token, testPassword} {
		if strings.Contains(s.logs.String(), secret) {
			t.Errorf("the log holds the secret %q", secret)
		}
	}
}

func TestSignInWithPassword(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "someone@example.com")
	first := v.cookie(sessionCookie)

	// Signing in again gives another session, and the old one is gone.
	v2 := s.visit(t)
	v2.get("/sign-in")
	before := v2.cookie(formCookie)
	v2.submit("/sign-in", "email", "Someone@Example.com ", "password", testPassword)
	v2.want(200, "/databases")
	if got := v2.cookie(sessionCookie); got == first || got == before || got == "" {
		t.Errorf("session cookie %q", got)
	}

	// The answer to a wrong password and to an unknown address is the same.
	var answers []string
	for _, email := range []string{"someone@example.com", "nobody@example.com"} {
		v := s.visit(t)
		v.get("/sign-in")
		v.submit("/sign-in", "email", email, "password", "wrong wrong wrong")
		v.want(422, "/sign-in")
		v.wantText("do not belong together")
		answers = append(answers, strings.ReplaceAll(v.text(), email, ""))
		if strings.Contains(v.body, "wrong wrong wrong") {
			t.Error("the page repeats the password")
		}
	}
	if answers[0] != answers[1] {
		t.Errorf("the answers differ:\n%s\n%s", answers[0], answers[1])
	}

	v.submit("/sign-out")
	v.want(200, "/sign-in")
	v.get("/databases")
	v.want(200, "/sign-in")
}

func TestPasswordChangeRotatesTheSession(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "someone@example.com")
	other := s.visit(t)
	other.get("/sign-in")
	other.submit("/sign-in", "email", "someone@example.com", "password", testPassword)
	other.want(200, "/databases")

	before := v.cookie(sessionCookie)
	v.get("/settings")
	v.submit("/settings/password", "current", "not this one, sorry", "password", "another four word phrase", "password_again", "another four word phrase")
	v.want(422, "/settings/password")
	v.submit("/settings/password", "current", testPassword, "password", "another four word phrase", "password_again", "another four word phrase")
	v.want(200, "/settings")
	if v.cookie(sessionCookie) == before {
		t.Error("the session has the same token after the password was changed")
	}
	other.get("/databases")
	other.want(200, "/sign-in")
	old := s.visit(t)
	u, _ := url.Parse(s.url)
	old.client.Jar.SetCookies(u, []*http.Cookie{{Name: s.cookieName(sessionCookie), Value: before, Path: "/"}})
	old.get("/databases")
	old.want(200, "/sign-in")
}

// A password that is changed while the sessions of before cannot be ended is not
// changed: nobody is told that they are out and stays in.
func TestPasswordChangesAltogetherOrNotAtAll(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "someone@example.com")
	if _, err := s.pool.Exec(t.Context(), `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
		create trigger refuse before delete on sessions for each statement execute function refuse()`); err != nil {
		t.Fatal(err)
	}
	v.get("/settings")
	v.submit("/settings/password", "current", testPassword, "password", "another four word phrase", "password_again", "another four word phrase")
	v.want(500, "/settings/password")
	for password, want := range map[string]int{"another four word phrase": 422, testPassword: 200} {
		again := s.visit(t)
		again.get("/sign-in")
		again.submit("/sign-in", "email", "someone@example.com", "password", password)
		if again.status != want {
			t.Errorf("%q signs in with %d, want %d", password, again.status, want)
		}
	}
	v.get("/databases")
	v.want(200, "/databases") // and the session is the one of before
}

func TestSessionsEndByTime(t *testing.T) {
	s := newSite(t, nil)
	for sql, what := range map[string]string{
		`update sessions set last_seen_at = now() - interval '12 hours 1 minute'`: "idle",
		`update sessions set created_at = now() - interval '14 days 1 minute'`:    "old",
	} {
		v := s.signedIn(t, what+"@example.com")
		if _, err := s.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		v.get("/databases")
		v.want(200, "/sign-in")
	}
}

func TestSignInIsLimited(t *testing.T) {
	s := newSite(t, nil)
	s.byAddress = newAttemptLimit(time.Minute, 5, 100)
	v := s.visit(t)
	for i := range 6 {
		v.get("/sign-in")
		v.submit("/sign-in", "email", "nobody@example.com", "password", "guess number whatever")
		want := 422
		if i == 5 {
			want = 429
		}
		v.want(want, "/sign-in")
	}
	v.wantText("There were too many attempts to sign in. Try again in 60 seconds, at ")
	if wait := v.header.Get("Retry-After"); wait != "60" {
		t.Errorf("Retry-After is %q", wait)
	}

	s = newSite(t, nil)
	s.byAccount = newAttemptLimit(time.Minute, 2, 100)
	s.signedIn(t, "someone@example.com")
	v = s.visit(t)
	for i, want := range []int{422, 422, 429} {
		v.get("/sign-in")
		v.submit("/sign-in", "email", "someone@example.com", "password", "guess number whatever")
		if v.status != want {
			t.Errorf("attempt %d: %d, want %d", i+1, v.status, want)
		}
	}
}

func TestNextStaysHere(t *testing.T) {
	for path, want := range map[string]string{
		"/apps/sushi?x=1": "/apps/sushi?x=1", "//evil.example": "/databases", "https://evil.example": "/databases", "": "/databases", "/\\evil.example": "/databases",
	} {
		if got := localPath(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}
