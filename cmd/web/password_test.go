package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"changeover/internal/platform"
)

// cheapPasswords hashes in no time; the tests of costs use the standard ones.
func cheapPasswords(t testing.TB) *passwords {
	t.Helper()
	p, err := newPasswords(passwordCost{memory: 64, passes: 1, lanes: 1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPasswordHash(t *testing.T) {
	p, err := newPasswords(standardCost(), 2)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := p.hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=65536,t=1,p=4$") {
		t.Errorf("hash %s", hash)
	}
	for password, want := range map[string]bool{"correct horse battery": true, "correct horse batterY": false, "": false} {
		if got, err := p.matches(t.Context(), hash, password); err != nil || got != want {
			t.Errorf("%q: %v %v, want %v", password, got, err, want)
		}
	}
	if got, err := p.matches(t.Context(), "", "anything at all"); err != nil || got {
		t.Errorf("no user: %v %v", got, err)
	}
	if _, err := p.matches(t.Context(), "$2a$10$abc", "x"); err == nil {
		t.Error("a foreign hash was taken")
	}
}

func TestPasswordSlotsAreBounded(t *testing.T) {
	p := cheapPasswords(t)
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.hash(ctx, "correct horse battery"); platform.KindOf(err) != platform.KindUnavailable {
		t.Errorf("want Unavailable while every slot is taken, got %v", err)
	}
}

func TestCheckPassword(t *testing.T) {
	for password, ok := range map[string]bool{
		"short": false, "fourteen chars": false, "tulip orbit gas": true, "éàüöéàüöéàüöé": false, "aaaaaaaaaaaaaaa": false,
		"someone@example.com": false, strings.Repeat("ab", 101): false, "": false, "four unrelated words do": true, "x8Kq2mZp0Lw3vRt5": true,
		// Long enough, and among the first that are guessed.
		"passwordpassword": false, "Password12345678!": false, "qwertyuiop123456": false, "P@ssw0rdP@ssw0rd": false, "123456789012345": false,
		"iloveyouiloveyou": false, "changeover2026!!": false, "someone.example1": false, strings.Repeat("password", 25): false,
	} {
		err := checkPassword("password", password, "someone@example.com")
		if (err == nil) != ok {
			t.Errorf("%q: %v", password, err)
		}
		if err != nil && (platform.KindOf(err) != platform.KindInvalid || !strings.HasSuffix(err.Error(), ".")) {
			t.Errorf("%q: not a sentence at a field: %v", password, err)
		}
	}
}

func TestAttemptLimit(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := newAttemptLimit(10*time.Second, 3, 100)
	l.now = func() time.Time { return now }
	for i := range 3 {
		if _, ok := l.allow("a"); !ok {
			t.Fatalf("attempt %d refused", i+1)
		}
	}
	if wait, ok := l.allow("a"); ok || wait != 10*time.Second {
		t.Errorf("fourth attempt: %v, wait %s", ok, wait)
	}
	if _, ok := l.allow("b"); !ok {
		t.Error("another key was refused as well")
	}
	now = now.Add(10 * time.Second)
	if _, ok := l.allow("a"); !ok {
		t.Error("refused after the wait")
	}
	l.forgive("a")
	for i := range 3 {
		if _, ok := l.allow("a"); !ok {
			t.Errorf("attempt %d after forgiveness refused", i+1)
		}
	}
	for i := range 1000 {
		l.allow(fmt.Sprint(i))
	}
	if len(l.entries) > 100 {
		t.Errorf("%d entries held, at most 100 wanted", len(l.entries))
	}
}
