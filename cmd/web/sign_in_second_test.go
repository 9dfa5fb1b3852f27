package main

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"

	"github.com/pquerna/otp/totp"
)

// codeAt is the code that an app with that secret shows at a time.
func codeAt(t testing.TB, secret string, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrols sets an authenticator app up and returns its secret and the recovery codes.
func (v *visit) enrols(s *site) (secret string, codes []string) {
	v.t.Helper()
	v.get("/settings")
	v.submit("/settings/authenticator/begin")
	v.want(200, "/settings/authenticator")
	secret = strings.ReplaceAll(v.page.Find("[data-testid=authenticator-secret]").Text(), " ", "")
	v.submit("/settings/authenticator", "code", codeAt(v.t, secret, time.Now()))
	v.want(200, "/settings/authenticator")
	codes = strings.Fields(v.page.Find("[data-testid=recovery-codes]").Text())
	if len(secret) != 32 || len(codes) != 10 {
		v.t.Fatalf("a secret of %d characters and %d codes", len(secret), len(codes))
	}
	s.rest(v.t)
	return secret, codes
}

// rest lets every authenticator's next code count, as half a minute does.
func (s *site) rest(t testing.TB) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), `update authenticators set last_step = last_step - 10`); err != nil {
		t.Fatal(err)
	}
}

// withPassword is a browser that is right about the password and asked for more.
func (s *site) withPassword(t testing.TB, email string) *visit {
	t.Helper()
	v := s.visit(t)
	v.get("/sign-in?next=/apps")
	v.submit("/sign-in", "email", email, "password", testPassword, "next", "/apps")
	v.want(200, "/sign-in/second")
	return v
}

func TestAuthenticatorIsSetUp(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	other := s.visit(t)
	other.get("/sign-in")
	other.submit("/sign-in", "email", "mei@example.com", "password", testPassword)
	v.get("/settings/authenticator") // nothing was begun
	v.want(200, "/settings")
	v.submit("/settings/authenticator/begin")
	picture, ok := strings.CutPrefix(v.page.Find("img.qr").AttrOr("src", ""), "data:image/png;base64,")
	data, err := base64.StdEncoding.DecodeString(picture)
	if _, pngErr := png.Decode(bytes.NewReader(data)); !ok || err != nil || pngErr != nil {
		t.Errorf("no picture: %v, %v", err, pngErr)
	}
	secret := strings.ReplaceAll(v.page.Find("[data-testid=authenticator-secret]").Text(), " ", "")

	// Until a code has come back nothing is asked for, and no other code will do.
	s.visitSignsIn(t, "mei@example.com")
	v.submit("/settings/authenticator", "code", codeAt(t, secret, time.Now().Add(-10*time.Minute)))
	v.want(422, "/settings/authenticator")
	v.wantText("This code does not fit.")
	code := codeAt(t, secret, time.Now())
	v.submit("/settings/authenticator", "code", code[:3]+" "+code[3:])
	v.want(200, "/settings/authenticator")
	v.wantText("Keep these codes: they are not shown again")
	codes := strings.Fields(v.page.Find("[data-testid=recovery-codes]").Text())
	other.get("/databases")
	other.want(200, "/sign-in")
	v.get("/settings/authenticator")
	v.want(200, "/settings")
	v.wantText("10 codes left")
	if strings.Contains(v.body, codes[0]) || strings.Contains(v.body, secret) {
		t.Error("the secret or a code is shown again")
	}
	planted := map[string]string{"the secret": secret, "a recovery code": codes[0], "a recovery code without dashes": strings.ReplaceAll(codes[0], "-", "")}
	s.wantSecretNowhere(t, planted)
}

// visitSignsIn is somebody who signs in with the password alone.
func (s *site) visitSignsIn(t testing.TB, email string) *visit {
	t.Helper()
	v := s.visit(t)
	v.get("/sign-in")
	v.submit("/sign-in", "email", email, "password", testPassword)
	v.want(200, "/databases")
	return v
}

func TestSecondFactorIsAskedFor(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	secret, codes := v.enrols(s)

	half := s.withPassword(t, "mei@example.com")
	half.get("/databases")
	half.want(200, "/sign-in") // half a sign-in opens nothing
	half.get("/sign-in/second")
	half.submit("/sign-in/second", "code", "000000")
	half.want(422, "/sign-in/second")
	code := codeAt(t, secret, time.Now())
	half.submit("/sign-in/second", "code", code)
	half.want(200, "/apps")
	if half.cookie(secondCookie) != "" {
		t.Error("the cookie of the half sign-in is still there")
	}

	// The same code again, within its time, by somebody who looked over a shoulder.
	again := s.withPassword(t, "mei@example.com")
	again.submit("/sign-in/second", "code", code)
	again.want(422, "/sign-in/second")
	again.wantText("was used before")
	// So are the codes before it, though they are still near enough in time.
	again.submit("/sign-in/second", "code", codeAt(t, secret, time.Now().Add(-30*time.Second)))
	again.want(422, "/sign-in/second")

	// A recovery code, once, in any spelling.
	again.submit("/sign-in/second", "code", strings.ToUpper(strings.ReplaceAll(codes[3], "-", " ")))
	again.want(200, "/apps")
	again.wantText("You have 9 recovery codes left.")
	third := s.withPassword(t, "mei@example.com")
	third.submit("/sign-in/second", "code", codes[3])
	third.want(422, "/sign-in/second")
	third.wantText("or it was used before")

	audit := s.audit(t)
	for _, want := range []string{"With a password; the second factor was asked for.", "With a password and an authenticator app.", "With a password and a recovery code."} {
		if !strings.Contains(audit, want) {
			t.Errorf("the audit lacks %q:\n%s", want, audit)
		}
	}
}

// audit is everything in it, a line a row.
func (s *site) audit(t testing.TB) string {
	t.Helper()
	var all string
	if err := s.pool.QueryRow(t.Context(), `select coalesce(string_agg(actor || ' ' || action || ' ' || outcome || ' ' || detail, E'\n' order by id), '') from audit`).Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSecondFactorIsLimitedAndEnds(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	secret, _ := v.enrols(s)
	half := s.withPassword(t, "mei@example.com")
	for range 10 {
		half.submit("/sign-in/second", "code", "123456")
	}
	// The right password in between gives no attempts back.
	half = s.withPassword(t, "mei@example.com")
	half.submit("/sign-in/second", "code", codeAt(t, secret, time.Now()))
	half.want(http.StatusTooManyRequests, "/sign-in/second")
	s.byFactor.forgive("mei@example.com")

	// Ten minutes, and no browser that was not asked.
	if _, err := s.pool.Exec(t.Context(), `update pending_sign_ins set created_at = now() - interval '11 minutes'`); err != nil {
		t.Fatal(err)
	}
	csrf := half.csrf()
	half.post("/sign-in/second", url.Values{"csrf_token": {csrf}, "code": {codeAt(t, secret, time.Now())}})
	half.want(200, "/sign-in")
	half.wantText("This took longer than 10 minutes. Sign in again.")
	stranger := s.visit(t)
	stranger.get("/sign-in/second")
	stranger.want(200, "/sign-in")
	if n, err := db.DeleteOldPendingSignIns(t.Context(), s.pool); err != nil || n != 2 {
		t.Errorf("%d old ones forgotten, %v", n, err)
	}
}

func TestSecondFactorIsTurnedOff(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	_, codes := v.enrols(s)
	v.get("/settings")
	s.age(t)
	v.submit("/settings/recovery-codes")
	v.want(403, "/settings/recovery-codes")
	v.submit("/settings/recovery-codes", proofPassword, testPassword)
	v.want(200, "/settings/recovery-codes")
	fresh := strings.Fields(v.page.Find("[data-testid=recovery-codes]").Text())
	half := s.withPassword(t, "mei@example.com")
	half.submit("/sign-in/second", "code", codes[0])
	half.want(422, "/sign-in/second")
	half.submit("/sign-in/second", "code", fresh[0])
	half.want(200, "/apps")

	v.get("/settings")
	s.age(t)
	v.submit("/settings/authenticator/remove")
	v.want(403, "/settings/authenticator/remove")
	half.get("/databases")
	half.want(200, "/databases")
	v.submit("/settings/authenticator/remove", proofPassword, testPassword)
	v.want(200, "/settings")
	half.get("/databases")
	half.want(200, "/sign-in") // signed out with the change
	s.visitSignsIn(t, "mei@example.com")
	var left int
	if err := s.pool.QueryRow(t.Context(), `select (select count(*) from recovery_codes) + (select count(*) from authenticators)`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows left, %v", left, err)
	}
}

func TestLinksAndTheSecondFactor(t *testing.T) {
	s := newSite(t, nil)
	admin := s.signedIn(t, "mei@example.com")
	cook := s.signedInAs(t, "cook@example.com", false)
	secret, _ := cook.enrols(s)
	link := func(clears bool) string {
		t.Helper()
		admin.get("/settings/reset-link")
		fields := []string{"email", "cook@example.com"}
		if clears {
			fields = append(fields, "clears_factors", "yes")
		}
		admin.submit("/settings/reset-link", fields...)
		admin.want(200, "/settings/reset-link")
		return strings.TrimPrefix(admin.page.Find("[data-testid=reset-link]").Text(), s.cfg.URL.String())
	}
	use := func(path string) *visit {
		t.Helper()
		v := s.visit(t)
		v.get(path)
		v.submit(path, "password", secondPassword, "password_again", secondPassword)
		return v
	}
	// A link that sets the password asks for the second factor all the same.
	v := use(link(false))
	v.want(200, "/sign-in/second")
	v.submit("/sign-in/second", "code", codeAt(t, secret, time.Now()))
	v.want(200, "/databases")
	// One for who has lost it takes it away when it is used, and is not mailed.
	admin.get("/settings/reset-link")
	admin.submit("/settings/reset-link", "email", "cook@example.com", "clears_factors", "yes", "send", "mail")
	admin.want(422, "/settings/reset-link")
	path := link(true)
	if f, err := db.FactorsOf(t.Context(), s.pool, s.userNamed(t, "cook@example.com").ID); err != nil || !f.Any() {
		t.Errorf("gone before the link was used: %+v, %v", f, err)
	}
	v = use(path)
	v.want(200, "/databases")
	if f, err := db.FactorsOf(t.Context(), s.pool, s.userNamed(t, "cook@example.com").ID); err != nil || f.Any() || f.RecoveryCodes != 0 {
		t.Errorf("left: %+v, %v", f, err)
	}
	// Whoever runs the program on its machine gets in.
	secret, _ = v.enrols(s)
	token, err := db.CreateSignInLink(t.Context(), s.pool, s.userNamed(t, "cook@example.com").ID, linkLife)
	if err != nil {
		t.Fatal(err)
	}
	machine := s.visit(t)
	machine.get("/sign-in/" + token)
	machine.submit("/sign-in/" + token)
	machine.want(200, "/databases")
	s.wantSecretNowhere(t, map[string]string{"the secret": secret})
}

// TestSecondFactorIsRequired asks every route as somebody without one.
func TestSecondFactorIsRequired(t *testing.T) {
	s := newSite(t, map[string]string{"CHANGEOVER_SECOND_FACTOR": "required"})
	v := s.visit(t)
	hash, err := s.passwords.hash(t.Context(), testPassword)
	if err != nil {
		t.Fatal(err)
	}
	user, err := db.CreateUser(t.Context(), s.pool, "mei@example.com", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.SetPassword(t.Context(), s.pool, user.ID, hash); err != nil {
		t.Fatal(err)
	}
	v.get("/sign-in")
	v.submit("/sign-in", "email", "mei@example.com", "password", testPassword)
	v.want(200, "/settings")
	v.wantText("A second factor is required here.")
	csrf := v.csrf()
	v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, r := range s.routes() {
		if r.who == public || opensWithoutFactor(r.path) {
			continue
		}
		path := strings.NewReplacer(":database", "x", ":app", "x", ":pid", "1", ":id", "1", ":name", "X", ":token", "x").Replace(r.path)
		if r.method == get {
			v.get(path)
			if to := v.header.Get("Location"); v.status != http.StatusSeeOther || to != "/settings#second-factor" {
				t.Errorf("GET %s: %d to %q", path, v.status, to)
			}
			continue
		}
		v.post(path, url.Values{"csrf_token": {csrf}})
		if v.status != http.StatusForbidden || !strings.Contains(v.body, "A second factor is required here, and you have none.") {
			t.Errorf("POST %s: %d", path, v.status)
		}
	}
	v.client.CheckRedirect = nil
	v.enrols(s)
	v.get("/databases")
	v.want(200, "/databases")
	// A program goes on: its token is more than a password.
	token, _, err := db.CreateAPIToken(t.Context(), s.pool, user.ID, "ci", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.DeleteFactors(t.Context(), s.pool, user.ID); err != nil {
		t.Fatal(err)
	}
	if status, body := apiRequest(t, s, get, "/apps", token, ""); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	v.get("/databases")
	v.want(200, "/settings")
}

// Whoever is deactivated has no way in by a passkey either.
func TestDeactivatedAndTheirPasskeys(t *testing.T) {
	s := newSite(t, nil)
	s.signedIn(t, "mei@example.com")
	s.signedInAs(t, "cook@example.com", false)
	k := s.onLocalhost(t, "cook@example.com").addPasskey(t, "laptop")
	if _, err := s.pool.Exec(t.Context(), `update users set deactivated_at = now() where email = 'cook@example.com'`); err != nil {
		t.Fatal(err)
	}
	in := softVisit(s.visit(t))
	in.get("/sign-in")
	in.submit("/sign-in/passkey", "credential", k.used(in.asked("/sign-in/passkey/options", "")))
	in.want(http.StatusForbidden, "/sign-in/passkey")
	in.wantText("deactivated")
}
