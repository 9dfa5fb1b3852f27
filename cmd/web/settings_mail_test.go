package main

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/mail/mailtest"
)

// mailSite is a site that may dial the loopback address, a mail server there
// that is not set yet, and runners that send.
func mailSite(t *testing.T, env map[string]string) (*site, *mailtest.Server) {
	t.Helper()
	server := mailtest.Start(t, false)
	all := map[string]string{"CHANGEOVER_OUTGOING_ALLOW": net.JoinHostPort(server.Host, strconv.Itoa(server.Port))}
	for k, v := range env {
		all[k] = v
	}
	s := newSite(t, all)
	s.jobs.Mailer.Roots = server.Roots
	s.startJobs(t)
	return s, server
}

// startJobs lets the site's runners work until the test ends.
func (s *site) startJobs(t *testing.T) {
	t.Helper()
	if err := s.jobs.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.jobs.Stop(ctx); err != nil {
			t.Errorf("the runners did not stop: %v", err)
		}
	})
}

// setMail sets the server as an administrator would.
func (s *site) setMail(t *testing.T, server *mailtest.Server) {
	t.Helper()
	err := db.SetMailSettings(t.Context(), s.pool, s.sealer, db.MailSettings{
		Host: server.Host, Port: server.Port, TLSMode: "starttls", UserName: mailtest.User, Password: mailtest.Password, From: "changeover@example.com"}, "a test")
	if err != nil {
		t.Fatal(err)
	}
}

func TestMailServerIsSetAndTested(t *testing.T) {
	s, server := mailSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	v.get("/settings/mail")
	v.want(200, "/settings/mail")
	port := strconv.Itoa(server.Port)
	v.submit("/settings/mail", "host", "127.0.0.1", "port", "25", "user", mailtest.User, "smtp_password", "planted-wrong-password", "from", "changeover@example.com")
	v.want(403, "/settings/mail")
	v.wantText("CHANGEOVER_OUTGOING_ALLOW")
	if strings.Contains(v.body, "planted-wrong-password") {
		t.Error("the page repeats the password")
	}
	v.submit("/settings/mail", "host", "127.0.0.1", "port", port, "user", mailtest.User, "smtp_password", "planted-wrong-password", "from", "changeover@example.com")
	v.want(200, "/settings/mail")
	v.submit("/settings/mail/test")
	v.want(503, "/settings/mail/test")
	v.wantText("does not take this user name and password")
	v.get("/settings/mail")
	v.wantText("does not take this user name and password")

	// The right password; then changes with and without typing it again.
	v.submit("/settings/mail", "smtp_password", mailtest.Password)
	v.want(200, "/settings/mail")
	v.submit("/settings/mail/test")
	v.want(200, "/settings/mail")
	v.wantText("took the test for mei@example.com")
	if m := server.Next(t); m.To != "mei@example.com" || m.From != "changeover@example.com" {
		t.Errorf("arrived %+v", m)
	}
	v.submit("/settings/mail", "from", "Databases <db@example.com>")
	v.want(200, "/settings/mail")
	if got, err := db.MailSettingsNow(t.Context(), s.pool, s.sealer); err != nil || got.Password != mailtest.Password || !strings.Contains(got.From, "db@example.com") {
		t.Errorf("kept %+v, %v", got, err)
	}
	v.submit("/settings/mail", "user", "somebody else")
	v.want(422, "/settings/mail")
	v.wantText("Type the password of somebody else")

	s.wantSecretNowhere(t, map[string]string{"the SMTP password": mailtest.Password, "a wrong one": "planted-wrong-password"})
	v.get("/settings/mail")
	v.submit("/settings/mail/remove")
	v.wantText("Mail is off.")
	if err := s.jobs.SendMail(t.Context(), jobs.Mail{To: "mei@example.com", Subject: "x", Body: "x"}); platform.KindOf(err) != platform.KindNotFound {
		t.Errorf("mail without a server: %v", err)
	}
}

func TestMailSettingsAreForAdministrators(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedInAs(t, "cook@example.com", false)
	for _, path := range []string{"/settings/mail"} {
		v.get(path)
		v.want(403, path)
	}
	v.get("/settings")
	if v.page.Find("a[href='/settings/mail']").Length() != 0 {
		t.Error("Settings leads to a page that the visitor may not see")
	}
}

func TestMailIsSentInTheBackground(t *testing.T) {
	s, server := mailSite(t, nil)
	s.setMail(t, server)
	send := func(to string) {
		t.Helper()
		if err := s.jobs.SendMail(t.Context(), jobs.Mail{To: to, Subject: "A link", Body: "planted-mail-secret\n"}); err != nil {
			t.Fatal(err)
		}
	}
	state := func(to string) (state, problem string) {
		t.Helper()
		if err := s.pool.QueryRow(t.Context(), `select state, last_error from mails where recipient = $1 order by id desc limit 1`, to).Scan(&state, &problem); err != nil {
			t.Fatal(err)
		}
		return state, problem
	}
	ends := func(to, want string) string {
		t.Helper()
		problem := ""
		await(t, 20*time.Second, "the mail to "+to+" is "+want, func() bool {
			var got string
			got, problem = state(to)
			return got == want
		})
		return problem
	}
	send("mei@example.com")
	if m := server.Next(t); m.To != "mei@example.com" || !strings.Contains(m.Body, "planted-mail-secret") {
		t.Errorf("arrived %+v", m)
	}
	ends("mei@example.com", "sent")

	// Refused for now: it waits, and goes out when the server takes mail again.
	server.Refuse(451)
	send("later@example.com")
	await(t, 20*time.Second, "the first attempt fails", func() bool {
		_, problem := state("later@example.com")
		return strings.Contains(problem, "451")
	})
	s.wantSecretNowhere(t, map[string]string{"what a mail that waits says": "planted-mail-secret"})
	status, err := db.MailStatusNow(t.Context(), s.pool)
	if err != nil || status.Waiting != 1 || !strings.Contains(status.LastError, "451") || status.LastSentAt == nil {
		t.Errorf("status %+v, %v", status, err)
	}
	server.Refuse(0)
	if m := server.Next(t); m.To != "later@example.com" {
		t.Errorf("arrived %+v", m)
	}
	ends("later@example.com", "sent")

	// Refused for good: given up at once. Too old: not sent at all.
	server.Refuse(550)
	send("nobody@example.com")
	if problem := ends("nobody@example.com", "failed"); !strings.Contains(problem, "refused the message for good") {
		t.Errorf("the problem is %q", problem)
	}
	server.Refuse(0)
	if err := s.jobs.SendMail(t.Context(), jobs.Mail{To: "old@example.com", Subject: "x", Body: "x", GoodFor: -time.Second}); err != nil {
		t.Fatal(err)
	}
	ends("old@example.com", "failed")
	if n := len(server.Mails()); n != 2 {
		t.Errorf("%d mails arrived", n)
	}
	var bodies int
	if err := s.pool.QueryRow(t.Context(), `select count(*) from mails where body_sealed is not null`).Scan(&bodies); err != nil || bodies != 0 {
		t.Errorf("%d bodies are kept (%v)", bodies, err)
	}
}

// Whoever sets the mail server decides where links that reset passwords go, so
// it asks for a proof; the page in between repeats no password, and none of
// before is kept in its place.
func TestMailServerIsSetAfterAProof(t *testing.T) {
	s, server := mailSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	s.setMail(t, server)
	s.age(t)
	password := func() string {
		t.Helper()
		kept, err := db.MailSettingsNow(t.Context(), s.pool, s.sealer)
		if err != nil {
			t.Fatal(err)
		}
		return kept.Password
	}
	const planted = "planted-new-password"
	v.get("/settings/mail")
	v.submit("/settings/mail", "from", "kitchen@example.com", "smtp_password", planted)
	v.want(403, "/settings/mail")
	if strings.Contains(v.body, planted) {
		t.Error("the page in between repeats the password")
	}
	v.submit("/settings/mail", proofPassword, testPassword)
	v.want(422, "/settings/mail")
	v.wantText("Type the password again")
	if got := password(); got != mailtest.Password {
		t.Errorf("kept %q", got)
	}
	v.submit("/settings/mail", "smtp_password", planted)
	v.want(200, "/settings/mail")
	if got := password(); got != planted {
		t.Errorf("kept %q", got)
	}
	// Where none was typed the one that is kept stays.
	s.age(t)
	v.submit("/settings/mail", "from", "chef@example.com")
	v.submit("/settings/mail", proofPassword, testPassword)
	v.want(200, "/settings/mail")
	if got := password(); got != planted {
		t.Errorf("kept %q", got)
	}
}
