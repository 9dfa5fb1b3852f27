package db_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
)

func TestUsers(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	_, err := db.FirstUser(ctx, pool)
	wantSentence(t, err, platform.KindNotFound, "", "no user yet")
	u := dbtest.User(t, pool, "Chef@Example.com")
	if u.Email != "chef@example.com" || u.PasswordHash != nil {
		t.Errorf("got %+v", u)
	}
	noError(t, db.SetPassword(ctx, pool, u.ID, "$argon2id$x"))
	got := must(db.UserByEmail(ctx, pool, "CHEF@example.com"))(t)
	if got.ID != u.ID || got.PasswordHash == nil || *got.PasswordHash != "$argon2id$x" {
		t.Errorf("got %+v", got)
	}
	if got.CreatedAt.Location() != time.UTC {
		t.Errorf("times are read in %v", got.CreatedAt.Location())
	}
	wantSentence(t, db.SetPassword(ctx, pool, 99, "x"), platform.KindNotFound, "", "Sign in again")
	if n := len(must(db.ListUsers(ctx, pool))(t)); n != 1 {
		t.Errorf("%d users", n)
	}
}

func TestSignInLinkIsUsedOnce(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	u := dbtest.User(t, pool, "chef@example.com")
	token := must(db.CreateSignInLink(ctx, pool, u.ID, time.Hour))(t)
	if got := must(db.SignInLinkUser(ctx, pool, token))(t); got.ID != u.ID {
		t.Errorf("the link is for %+v", got)
	}
	var used atomic.Int32
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			if got, err := db.UseSignInLink(ctx, pool, token); err == nil && got.ID == u.ID {
				used.Add(1)
			}
		})
	}
	running.Wait()
	if used.Load() != 1 {
		t.Errorf("used %d times", used.Load())
	}
	_, err := db.SignInLinkUser(ctx, pool, token)
	wantSentence(t, err, platform.KindNotFound, "", "was used or has expired")
	expired := must(db.CreateSignInLink(ctx, pool, u.ID, -time.Second))(t)
	_, err = db.UseSignInLink(ctx, pool, expired)
	wantSentence(t, err, platform.KindNotFound, "", "was used or has expired")

	if n := must(db.DeleteOldSignInLinks(ctx, pool))(t); n != 0 {
		t.Errorf("%d young links forgotten", n)
	}
	_, err = pool.Exec(ctx, `update sign_in_links set expires_at = now() - interval '2 days'`)
	noError(t, err)
	if n := must(db.DeleteOldSignInLinks(ctx, pool))(t); n != 2 {
		t.Errorf("%d old links forgotten", n)
	}
}

func TestSessionLimits(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	u := dbtest.User(t, pool, "chef@example.com")
	find := func(token string) error {
		_, _, err := db.FindSession(ctx, pool, token, db.SessionIdleLimit, db.SessionAbsoluteLimit)
		return err
	}
	token, made, err := db.CreateSession(ctx, pool, u.ID, "127.0.0.1", "Firefox")
	noError(t, err)
	s, user, err := db.FindSession(ctx, pool, token, db.SessionIdleLimit, db.SessionAbsoluteLimit)
	noError(t, err)
	if user.Email != u.Email || s.CSRFToken != made.CSRFToken || s.CSRFToken == "" || s.IP != "127.0.0.1" || s.UserAgent != "Firefox" {
		t.Errorf("got %+v of %+v", s, user)
	}
	wantSentence(t, find("x"), platform.KindNotFound, "", "not signed in")
	wantSentence(t, find(s.Handle), platform.KindNotFound, "", "not signed in")

	age := func(column, interval string) {
		t.Helper()
		_, err := pool.Exec(ctx, `update sessions set `+column+` = now() - $1::interval`, interval)
		noError(t, err)
	}
	age("last_seen_at", "11 hours 59 minutes")
	noError(t, find(token)) // and touches it
	s, _, err = db.FindSession(ctx, pool, token, db.SessionIdleLimit, db.SessionAbsoluteLimit)
	if noError(t, err); time.Since(s.LastSeenAt) > time.Minute {
		t.Errorf("last seen %v", s.LastSeenAt)
	}
	age("last_seen_at", "12 hours 1 second")
	wantSentence(t, find(token), platform.KindNotFound, "", "not signed in")
	if n := must(db.DeleteExpiredSessions(ctx, pool, db.SessionIdleLimit, db.SessionAbsoluteLimit))(t); n != 1 {
		t.Errorf("%d expired sessions forgotten", n)
	}
	token, _, err = db.CreateSession(ctx, pool, u.ID, "", "")
	noError(t, err)
	age("created_at", "14 days 1 second")
	wantSentence(t, find(token), platform.KindNotFound, "", "not signed in")
}

func TestSessionRotatesAndEnds(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	u := dbtest.User(t, pool, "chef@example.com")
	other := dbtest.User(t, pool, "waiter@example.com")
	sessions := func() int {
		return len(must(db.ListSessions(ctx, pool, u.ID, db.SessionIdleLimit, db.SessionAbsoluteLimit))(t))
	}
	first, before, err := db.CreateSession(ctx, pool, u.ID, "", "")
	noError(t, err)
	second, after, err := db.RotateSession(ctx, pool, first)
	noError(t, err)
	if second == first || after.CSRFToken == before.CSRFToken || !after.CreatedAt.Equal(before.CreatedAt) {
		t.Errorf("rotated %+v into %+v", before, after)
	}
	_, _, err = db.FindSession(ctx, pool, first, db.SessionIdleLimit, db.SessionAbsoluteLimit)
	wantSentence(t, err, platform.KindNotFound, "", "not signed in")
	_, _, err = db.RotateSession(ctx, pool, first)
	wantSentence(t, err, platform.KindNotFound, "", "not signed in")

	third, s, err := db.CreateSession(ctx, pool, u.ID, "", "")
	noError(t, err)
	wantSentence(t, db.EndUserSession(ctx, pool, other.ID, s.Handle), platform.KindNotFound, "", "not signed in")
	wantSentence(t, db.EndUserSession(ctx, pool, u.ID, "no hex"), platform.KindNotFound, "", "not signed in")
	if sessions() != 2 {
		t.Errorf("%d sessions", sessions())
	}
	noError(t, db.EndUserSession(ctx, pool, u.ID, s.Handle))
	noError(t, db.EndSession(ctx, pool, third))
	if sessions() != 1 {
		t.Errorf("%d sessions", sessions())
	}
	_, _, err = db.CreateSession(ctx, pool, u.ID, "", "")
	noError(t, err)
	if n := must(db.EndAllSessions(ctx, pool, u.ID, after.Handle))(t); n != 1 || sessions() != 1 {
		t.Errorf("%d others ended, %d left", n, sessions())
	}
	if n := must(db.EndAllSessions(ctx, pool, u.ID, ""))(t); n != 1 || sessions() != 0 {
		t.Errorf("%d ended, %d left", n, sessions())
	}
}

func TestAPITokens(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	u, other := dbtest.User(t, pool, "chef@example.com"), dbtest.User(t, pool, "waiter@example.com")
	_, _, err := db.CreateAPIToken(ctx, pool, u.ID, "", 0)
	wantSentence(t, err, platform.KindInvalid, "name", "Give the token a name")
	token, made, err := db.CreateAPIToken(ctx, pool, u.ID, "ci", 0)
	noError(t, err)
	if made.ExpiresAt != nil || made.LastUsedAt != nil {
		t.Errorf("made %+v", made)
	}
	found, owner, err := db.FindAPIToken(ctx, pool, token)
	noError(t, err)
	if owner != must(db.UserByID(ctx, pool, u.ID))(t) || found.ID != made.ID || found.Name != "ci" {
		t.Errorf("found %+v of %+v", found, owner)
	}
	if list := must(db.ListAPITokens(ctx, pool, u.ID))(t); len(list) != 1 || list[0].LastUsedAt == nil {
		t.Errorf("listed %+v", list)
	}
	expired, _, err := db.CreateAPIToken(ctx, pool, u.ID, "old", time.Nanosecond*1000)
	noError(t, err)
	_, _, err = db.FindAPIToken(ctx, pool, expired)
	wantSentence(t, err, platform.KindForbidden, "", "not valid")
	wantSentence(t, db.DeleteAPIToken(ctx, pool, other.ID, made.ID), platform.KindNotFound, "", "no such token")
	noError(t, db.DeleteAPIToken(ctx, pool, u.ID, made.ID))
	_, _, err = db.FindAPIToken(ctx, pool, token)
	wantSentence(t, err, platform.KindForbidden, "", "not valid")
}
