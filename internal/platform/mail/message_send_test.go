package mail_test

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"

	"changeover/internal/platform"
	"changeover/internal/platform/mail"
	"changeover/internal/platform/mail/mailtest"
	"changeover/internal/platform/outgoing"
)

func sender(t *testing.T, s *mailtest.Server, allow string) *mail.Sender {
	t.Helper()
	list, err := outgoing.ParseAllow(allow)
	if err != nil {
		t.Fatal(err)
	}
	return &mail.Sender{Dialer: outgoing.New(outgoing.Config{Allow: list}), Roots: s.Roots}
}

func settingsOf(s *mailtest.Server, mode mail.TLSMode) mail.Settings {
	return mail.Settings{Host: s.Host, Port: s.Port, TLS: mode, User: mailtest.User, Password: mailtest.Password, From: "Changeover <changeover@example.com>"}
}

func TestSend(t *testing.T) {
	for mode, implicit := range map[mail.TLSMode]bool{mail.TLSImplicit: true, mail.TLSStartTLS: false} {
		server := mailtest.Start(t, implicit)
		body := "Sign in:\n\nhttp://127.0.0.1:8090/sign-in/" + strings.Repeat("x", 60) + "\n\nMöwe"
		err := sender(t, server, "127.0.0.0/8").Send(t.Context(), settingsOf(server, mode), mail.Message{
			ID: "7.changeover", To: "mei@example.com", Subject: "A\r\nBcc: eve@example.com sign-in", Body: body})
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		got := server.Next(t)
		if got.From != "changeover@example.com" || got.To != "mei@example.com" || got.Header.Get("From") != `"Changeover" <changeover@example.com>` ||
			got.Header.Get("Subject") != "A Bcc: eve@example.com sign-in" || got.Header.Get("Bcc") != "" ||
			got.Header.Get("Message-Id") != "<7.changeover@example.com>" || !strings.Contains(got.Body, strings.Repeat("x", 60)) {
			t.Errorf("%s: arrived %+v", mode, got)
		}
	}
}

func TestSendSaysWhatFailed(t *testing.T) {
	starttls, implicit := mailtest.Start(t, false), mailtest.Start(t, true)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := gone.Addr().(*net.TCPAddr).Port
	_ = gone.Close()
	for name, c := range map[string]struct {
		server *mailtest.Server
		allow  string
		change func(s *mail.Settings)
		says   string
	}{
		"not allowed":     {starttls, "", func(*mail.Settings) {}, "CHANGEOVER_OUTGOING_ALLOW"},
		"nobody":          {starttls, "127.0.0.0/8", func(s *mail.Settings) { s.Port = nobody }, "does not answer on port " + strconv.Itoa(nobody)},
		"wrong mode":      {starttls, "127.0.0.0/8", func(s *mail.Settings) { s.TLS = mail.TLSImplicit }, "does not speak TLS"},
		"wrong password":  {starttls, "127.0.0.0/8", func(s *mail.Settings) { s.Password = "hunter2 hunter2" }, "does not take this user name and password (it answered 535)"},
		"wrong password2": {implicit, "127.0.0.0/8", func(s *mail.Settings) { s.TLS, s.Password = mail.TLSImplicit, "hunter2 hunter2" }, "it answered 535"},
		"needs a user":    {starttls, "127.0.0.0/8", func(s *mail.Settings) { s.User, s.Password = "", "" }, "it answered 502"},
	} {
		s := settingsOf(c.server, mail.TLSStartTLS)
		c.change(&s)
		err := sender(t, c.server, c.allow).Send(t.Context(), s, mail.Message{ID: "1", To: "mei@example.com", Subject: "x", Body: "x"})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
	stranger := &mail.Sender{Dialer: sender(t, starttls, "127.0.0.0/8").Dialer}
	for mode, server := range map[mail.TLSMode]*mailtest.Server{mail.TLSStartTLS: starttls, mail.TLSImplicit: implicit} {
		err := stranger.Send(t.Context(), settingsOf(server, mode), mail.Message{ID: "1", To: "mei@example.com", Subject: "x", Body: "x"})
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: a certificate that nobody signed: %v", mode, err)
		}
	}
	if n := len(starttls.Mails()) + len(implicit.Mails()); n != 0 {
		t.Errorf("%d mails arrived", n)
	}
	for code, forGood := range map[int]bool{550: true, 450: false} {
		starttls.Refuse(code)
		err := sender(t, starttls, "127.0.0.0/8").Send(t.Context(), settingsOf(starttls, mail.TLSStartTLS), mail.Message{ID: "1", To: "mei@example.com", Subject: "x", Body: "x"})
		if err == nil || errors.Is(err, mail.ErrRefused) != forGood || !strings.Contains(err.Error(), strconv.Itoa(code)) {
			t.Errorf("%d: %v", code, err)
		}
	}
}

func TestParseSettings(t *testing.T) {
	good := mail.Typed{Host: " Smtp.Example.com ", Port: "587", TLS: "starttls", User: "u", Password: "p", From: "Changeover <c@example.com>"}
	s, err := mail.ParseSettings(good)
	if err != nil || s.Host != "smtp.example.com" || s.Port != 587 || s.From != `"Changeover" <c@example.com>` {
		t.Errorf("got %+v, %v", s, err)
	}
	for field, change := range map[string]func(*mail.Typed){
		"host":          func(s *mail.Typed) { s.Host = "127.1" },
		"port":          func(s *mail.Typed) { s.Port = "smtp" },
		"tls":           func(s *mail.Typed) { s.TLS = "none" },
		"from":          func(s *mail.Typed) { s.From = "c@example.com\r\nBcc: eve@example.com" },
		"user":          func(s *mail.Typed) { s.User = "" },
		"smtp_password": func(s *mail.Typed) { s.Password = "p\nQUIT" },
	} {
		typed := good
		change(&typed)
		_, err := mail.ParseSettings(typed)
		var ours *platform.Error
		if !errors.As(err, &ours) || ours.Kind != platform.KindInvalid || ours.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add("smtp.example.com", "587", "Changeover <c@example.com>", "u", "p")
	f.Add("127.1", "0", "\"a\\\"b\"@example.com", "", "")
	f.Fuzz(func(t *testing.T, host, port, from, user, password string) {
		s, err := mail.ParseSettings(mail.Typed{Host: host, Port: port, TLS: "starttls", From: from, User: user, Password: password})
		if err != nil {
			return
		}
		for _, text := range []string{s.Host, s.From, s.User, s.Password} {
			if strings.ContainsAny(text, "\r\n") {
				t.Errorf("a line break came through: %+v", s)
			}
		}
		again, err := mail.ParseSettings(mail.Typed{Host: s.Host, Port: strconv.Itoa(s.Port), TLS: "starttls", From: s.From, User: s.User, Password: s.Password})
		if err != nil || again != s {
			t.Errorf("%+v reads as %+v, %v", s, again, err)
		}
	})
}
