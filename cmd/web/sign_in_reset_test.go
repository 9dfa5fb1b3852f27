package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
)

const secondPassword = "another four word phrase"

// resetsWith sets a new password through a link and expects to be signed in.
func resetsWith(t *testing.T, s *site, link, password string) *visit {
	t.Helper()
	path := strings.TrimPrefix(link, s.cfg.URL.String())
	v := s.visit(t)
	v.get(path)
	v.want(200, path)
	v.wantText("Set a new password")
	v.submit(path, "password", password, "password_again", password)
	v.want(200, "/databases")
	return v
}

func TestAdministratorMakesAResetLink(t *testing.T) {
	s := newSite(t, nil)
	admin := s.signedIn(t, "mei@example.com")
	cook := s.signedInAs(t, "cook@example.com", false)
	phone := s.visit(t)
	phone.get("/sign-in")
	phone.submit("/sign-in", "email", "cook@example.com", "password", testPassword)
	admin.get("/settings/reset-link")
	admin.submit("/settings/reset-link", "email", "nobody@example.com")
	admin.want(422, "/settings/reset-link")
	admin.submit("/settings/reset-link", "email", "cook@example.com")
	admin.want(200, "/settings/reset-link")
	first := admin.page.Find("[data-testid=reset-link]").Text()
	admin.submit("/settings/reset-link", "email", "cook@example.com")
	link := admin.page.Find("[data-testid=reset-link]").Text()
	if link == first || !strings.HasPrefix(link, s.cfg.URL.String()+"/sign-in/") {
		t.Fatalf("links %q and %q", first, link)
	}
	// The newest works, once; nothing is different until it is used.
	stale := s.visit(t)
	stale.get(strings.TrimPrefix(first, s.cfg.URL.String()))
	if stale.status != 404 {
		t.Errorf("the link before the newest: %d", stale.status)
	}
	cook.get("/databases")
	cook.want(200, "/databases")
	phone.get("/databases")
	phone.want(200, "/databases")
	resetsWith(t, s, link, secondPassword)
	for _, before := range []*visit{cook, phone} {
		before.get("/databases")
		before.want(200, "/sign-in")
	}
	stale.get(strings.TrimPrefix(link, s.cfg.URL.String()))
	if stale.status != 404 {
		t.Errorf("used twice: %d", stale.status)
	}
	for password, want := range map[string]int{testPassword: 422, secondPassword: 200} {
		v := s.visit(t)
		v.get("/sign-in")
		v.submit("/sign-in", "email", "cook@example.com", "password", password)
		if v.status != want {
			t.Errorf("%s: %d, want %d", password, v.status, want)
		}
	}
	token := link[strings.LastIndex(link, "/")+1:]
	s.wantSecretNowhere(t, map[string]string{"the reset link": token, "the new password": secondPassword})
	admin.get("/settings/reset-link")
	if strings.Contains(admin.body, token) {
		t.Error("the link is shown a second time")
	}
}

func TestResetLinkExpires(t *testing.T) {
	s := newSite(t, nil)
	s.signedIn(t, "mei@example.com")
	token, err := db.CreateResetLink(t.Context(), s.pool, s.userNamed(t, "mei@example.com").ID, 24*time.Hour, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(t.Context(), `update sign_in_links set expires_at = expires_at - interval '24 hours'`); err != nil {
		t.Fatal(err)
	}
	v := s.visit(t)
	v.get("/sign-in/" + token)
	v.want(404, "/sign-in/"+token)
}

func TestPasswordChangeSpendsResetLinks(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	token, err := db.CreateResetLink(t.Context(), s.pool, s.userNamed(t, "mei@example.com").ID, time.Hour, "")
	if err != nil {
		t.Fatal(err)
	}
	v.get("/settings")
	v.submit("/settings/password", "current", testPassword, "password", secondPassword, "password_again", secondPassword)
	v.want(200, "/settings")
	v.get("/sign-in/" + token)
	v.want(404, "/sign-in/"+token)
}

var linkInMail = regexp.MustCompile(`http://\S+/sign-in/\S+`)

func TestForgottenPasswordIsMailed(t *testing.T) {
	s, server := mailSite(t, nil)
	v := s.visit(t)
	v.get("/sign-in/forgotten")
	v.wantText("No mail server is set here")
	s.setMail(t, server)
	s.signedIn(t, "mei@example.com")

	var answers []string
	for _, email := range []string{"nobody@example.com", "Mei@example.com "} {
		v := s.visit(t)
		v.get("/sign-in")
		v.get("/sign-in/forgotten")
		v.submit("/sign-in/forgotten", "email", email)
		v.want(200, "/sign-in")
		answers = append(answers, strings.ReplaceAll(v.text(), strings.ToLower(strings.TrimSpace(email)), "ADDRESS"))
	}
	if !strings.Contains(answers[0], "If ADDRESS may sign in here") || answers[0] != answers[1] {
		t.Errorf("the answers differ:\n%s\n%s", answers[0], answers[1])
	}
	m := server.Next(t)
	link := linkInMail.FindString(m.Body)
	if m.To != "mei@example.com" || link == "" {
		t.Fatalf("arrived %+v", m)
	}
	resetsWith(t, s, link, secondPassword)
	if m := server.Next(t); m.Header.Get("Subject") != "Your password was changed" {
		t.Errorf("arrived %+v", m)
	}
	for _, m := range server.Mails() {
		if m.To != "mei@example.com" {
			t.Errorf("mail to %s", m.To)
		}
	}
	s.wantSecretNowhere(t, map[string]string{"the mailed link": link[strings.LastIndex(link, "/")+1:]})

	// A mailbox is not flooded, known or not.
	for _, email := range []string{"mei@example.com", "nobody@example.com"} {
		v := s.visit(t)
		for i, want := range []int{200, 200, 429} {
			v.get("/sign-in/forgotten")
			v.submit("/sign-in/forgotten", "email", email)
			if v.status != want {
				t.Errorf("%s, link %d: %d, want %d", email, i+2, v.status, want)
			}
		}
		v.wantText("There were too many links asked for this address. Try again in 20 minutes, at ")
		if v.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	v.get("/sign-in/forgotten")
	v.submit("/sign-in/forgotten", "email", "not an address")
	v.want(422, "/sign-in/forgotten")
}

func TestSignInFromANewPlaceIsTold(t *testing.T) {
	s, server := mailSite(t, map[string]string{"CHANGEOVER_TRUSTED_PROXIES": "127.0.0.1"})
	s.setMail(t, server)
	s.signedIn(t, "mei@example.com")
	from := func(address, agent string) {
		t.Helper()
		v := s.visit(t)
		v.get("/sign-in")
		form := url.Values{"csrf_token": {v.csrf()}, "email": {"mei@example.com"}, "password": {testPassword}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/sign-in", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Forwarded-For", address)
		r.Header.Set("User-Agent", agent)
		v.do(r)
		v.want(200, "/databases")
	}
	const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	from("203.0.113.7", firefox) // new
	if m := server.Next(t); m.To != "mei@example.com" || !strings.Contains(m.Body, "Firefox on Linux, address 203.0.113.7") {
		t.Errorf("arrived %+v", m)
	}
	from("203.0.113.200", firefox) // the same network
	from("2001:db8:7::1", firefox) // new
	if m := server.Next(t); !strings.Contains(m.Body, "address 2001:db8:7::1") {
		t.Errorf("arrived %+v", m)
	}
	if n := len(server.Mails()); n != 2 {
		t.Errorf("%d mails about 2 new places", n)
	}

	// The feed has it too, for this person alone.
	var id int64
	if err := s.pool.QueryRow(t.Context(), `select max(id) from notices where kind = 'new_place'`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/notices/%d", id)
	mine, other := s.visit(t), s.signedIn(t, "other-admin@example.com")
	mine.get("/sign-in")
	mine.submit("/sign-in", "email", "mei@example.com", "password", testPassword)
	mine.get(path)
	mine.want(200, path)
	mine.wantText("Firefox on Linux, address 2001:db8:7::1")
	other.get("/notices")
	if strings.Contains(other.body, "A sign-in from a new place") {
		t.Error("another administrator's feed shows it")
	}
	other.get(path)
	if other.status != 404 {
		t.Errorf("another administrator opens it: %d", other.status)
	}
}

func TestProfileIsChanged(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	s.signedInAs(t, "cook@example.com", false)
	v.get("/settings")
	v.submit("/settings/name", "person_name", "  Mei   Tanaka ")
	v.want(200, "/settings")
	v.wantText("Mei Tanaka mei@example.com")
	v.submit("/settings/name", "person_name", strings.Repeat("x", 101))
	v.want(422, "/settings/name")
	v.get("/settings")
	v.submit("/settings/email", "email", "cook@example.com")
	v.want(409, "/settings/email")
	v.wantText("There is already a user cook@example.com.")
	before, err := db.CreateResetLink(t.Context(), s.pool, s.userNamed(t, "mei@example.com").ID, time.Hour, "")
	if err != nil {
		t.Fatal(err)
	}
	v.submit("/settings/email", "email", "Mei.Tanaka@example.com")
	v.want(200, "/settings")
	mailbox := s.visit(t)
	mailbox.get("/sign-in/" + before)
	mailbox.want(404, "/sign-in/"+before) // it was mailed to the address of before
	if got := s.userNamed(t, "mei.tanaka@example.com"); got.Name != "Mei Tanaka" {
		t.Errorf("kept %+v", got)
	}
}
