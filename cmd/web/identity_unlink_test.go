package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// linkedTo is whether somebody of that address signs in through the provider.
func (s *site) linkedTo(t *testing.T, p *testProvider, email string) bool {
	t.Helper()
	since, err := db.IdentitySince(t.Context(), s.pool, s.userNamed(t, email).ID, p.URL)
	if err != nil {
		t.Fatal(err)
	}
	return since != nil
}

func TestProviderIsUnlinked(t *testing.T) {
	p := newTestProvider(t)
	s := newSite(t, p.settings())
	if err := db.SetMailSettings(t.Context(), s.pool, s.sealer, db.MailSettings{Host: "mail.example.com", Port: 587, TLSMode: "starttls", From: "changeover@example.com"}, "a test"); err != nil {
		t.Fatal(err)
	}
	v := s.throughProvider(t)
	host := strings.TrimPrefix(p.URL, "http://")

	// It is all that the person has: refused, with the way out, and nothing has changed.
	v.get("/settings")
	v.submit("/settings/provider/unlink")
	v.want(http.StatusConflict, "/settings/provider/unlink")
	v.wantText("This is all that you sign in with. Set a password on this page first, or add a passkey; then it can go.")
	if !s.linkedTo(t, p, "chef@example.com") {
		t.Fatal("unlinked all the same")
	}
	v.get("/settings")
	v.submit("/settings/password", "password", secondPassword, "password_again", secondPassword)
	v.want(200, "/settings")
	other := s.visit(t)
	other.get("/sign-in/provider?next=/apps")
	other.want(200, "/apps")

	// Asked for a proof, which carries on.
	v.get("/settings")
	s.age(t)
	v.submit("/settings/provider/unlink")
	v.want(http.StatusForbidden, "/settings/provider/unlink")
	v.submit("/settings/provider/unlink", proofPassword, secondPassword)
	v.want(200, "/settings")
	v.wantText("Your account at " + host + " is unlinked: it does not sign you in any more.")
	if got := v.page.Find("[data-testid=provider-state]").Text(); !strings.Contains(got, "not linked") {
		t.Errorf("the page says %q", got)
	}
	other.get("/apps")
	other.want(200, "/sign-in") // signed out, as with every change of what somebody signs in with
	var subjects string
	if err := s.pool.QueryRow(t.Context(), `select string_agg(subject, '; ') from mails where recipient = 'chef@example.com'`).Scan(&subjects); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(subjects, "You cannot sign in through "+host+" any more") {
		t.Errorf("told: %s", subjects)
	}
	s.wantAudit(t, "unlink an account at the identity provider an account at "+host+" done", "unlink an account at the identity provider an account at "+host+" refused This is all that")

	// The address alone does not link it again, and ends nothing.
	in := s.throughProvider(t)
	in.want(http.StatusForbidden, "/sign-in/provider/return")
	in.wantText("chef@example.com was unlinked from " + host + " under Settings")
	if u := s.userNamed(t, "chef@example.com"); u.PasswordHash == nil {
		t.Error("the password is gone")
	}
	s.age(t)
	v.get("/sign-in/provider?next=/settings") // signed in, without a proof
	v.want(http.StatusForbidden, "/sign-in/provider/return")
	if _, err := s.pool.Exec(t.Context(), `update sessions set proved_at = now()`); err != nil {
		t.Fatal(err)
	}
	v.get("/sign-in/provider?next=/settings")
	v.want(200, "/settings")
	if !s.linkedTo(t, p, "chef@example.com") {
		t.Error("not linked again under Settings")
	}
	s.throughProvider(t).want(200, "/apps")
	// Twice is once.
	v.get("/settings")
	v.submit("/settings/provider/unlink")
	v.want(200, "/settings")
	v.post("/settings/provider/unlink", map[string][]string{"csrf_token": {v.csrf()}, "again": {"1"}})
	v.want(http.StatusNotFound, "/settings/provider/unlink")
}

// A passkey is a way in only for the names at which the site can be open, and the
// last way in of all is not removed.
func TestLastWayInStays(t *testing.T) {
	p := newTestProvider(t)
	s := newSite(t, p.settings())
	s.throughProvider(t)
	id := s.userNamed(t, "chef@example.com").ID
	add := func(site string) int64 {
		if err := db.AddPasskey(t.Context(), s.pool, db.NewPasskey{UserID: id, Name: "the one for " + site, Site: site, CredentialID: []byte(site), Credential: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		list, err := db.ListPasskeys(t.Context(), s.pool, id)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range list {
			if k.Site == site {
				return k.ID
			}
		}
		return 0
	}
	public := s.cfg.URL.Hostname()
	sites := []string{public, "localhost"}
	add("old.example.com")
	has := func() bool {
		t.Helper()
		var left bool
		err := db.InTx(t.Context(), s.pool, func(tx pgx.Tx) (err error) {
			left, err = db.HasWayIn(t.Context(), tx, id, "", sites)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	if has() {
		t.Error("a passkey for a name of before counts as a way in")
	}
	here := add(public)
	if !has() {
		t.Error("a passkey for the public name is no way in")
	}
	// Two acts at once that would each leave the other's way: one is refused.
	refused := make([]error, 2)
	var both, acted sync.WaitGroup
	acted.Add(2)
	for i, act := range []func(tx pgx.Tx) error{
		func(tx pgx.Tx) error { return db.UnlinkIdentity(t.Context(), tx, id, p.URL) },
		func(tx pgx.Tx) error { _, err := db.RemovePasskey(t.Context(), tx, id, here); return err },
	} {
		both.Add(1)
		go func() {
			defer both.Done()
			refused[i] = db.InTx(t.Context(), s.pool, func(tx pgx.Tx) error {
				err := act(tx)
				acted.Done()
				if err != nil {
					return err
				}
				acted.Wait() // neither has looked yet
				if left, err := db.HasWayIn(t.Context(), tx, id, p.URL, sites); err != nil || !left {
					return platform.Conflict("none left, %v", err)
				}
				return nil
			})
		}()
	}
	both.Wait()
	if (refused[0] == nil) == (refused[1] == nil) {
		t.Errorf("unlinking: %v; removing the passkey: %v; want one refusal", refused[0], refused[1])
	}

	// The page refuses to remove the last way in, and says what to do first.
	s.signedInAs(t, "cook@example.com", false)
	cook := s.onLocalhost(t, "cook@example.com")
	cook.addPasskey(t, "laptop")
	if _, err := s.pool.Exec(t.Context(), `update users set password_hash = null where email = 'cook@example.com'`); err != nil {
		t.Fatal(err)
	}
	cook.get("/settings")
	remove := cook.page.Find("[data-testid=passkey-remove]").AttrOr("formaction", "")
	cook.submit(remove)
	cook.want(http.StatusConflict, remove)
	cook.wantText("This is all that you sign in with.")
	if n := cook.page.Find("[data-testid=passkey-remove]").Length(); n != 1 {
		t.Errorf("%d passkeys are left", n)
	}
	// One that opens nothing can go, whatever else there is.
	if _, err := s.pool.Exec(t.Context(), `update passkeys set site = 'old.example.com' where site <> 'old.example.com'`); err != nil {
		t.Fatal(err)
	}
	cook.get("/settings")
	cook.submit(remove)
	cook.get("/settings")
	if n := cook.page.Find("[data-testid=passkey-remove]").Length(); n != 0 {
		t.Errorf("%d passkeys for a name of before are left", n)
	}
}
