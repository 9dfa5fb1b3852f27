// Package mailtest is a real mail server for tests: it speaks SMTP with TLS on
// a loopback port and keeps what it was given. Only tests import it.
package mailtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// User and Password are who may sign in to the server.
const (
	User     = "changeover"
	Password = "planted-smtp-password"
)

// Mail is one message that arrived.
type Mail struct {
	From, To string
	Header   mail.Header
	Body     string
}

// Server is a mail server.
type Server struct {
	Host  string
	Port  int
	Roots *x509.CertPool // who signed its certificate

	mu      sync.Mutex
	mails   []Mail
	refuse  *smtp.SMTPError
	arrived chan Mail
}

// Start starts a server that speaks TLS from the first byte (implicit) or after
// STARTTLS. It ends with the test.
func Start(t testing.TB, implicit bool) *Server {
	t.Helper()
	s := &Server{Host: "127.0.0.1", arrived: make(chan Mail, 100)}
	config := s.certificate(t)
	l, err := net.Listen("tcp", s.Host+":0")
	if err != nil {
		t.Fatal(err)
	}
	s.Port = l.Addr().(*net.TCPAddr).Port
	if implicit {
		l = tls.NewListener(l, config)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{server: s}, nil }))
	server.Domain = "mail.test"
	server.TLSConfig = config
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

func (s *Server) certificate(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.ParseIP(s.Host)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s.Roots = x509.NewCertPool()
	s.Roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// Refuse makes the server answer every recipient with code from now on; 0 ends that.
func (s *Server) Refuse(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = nil
	if code != 0 {
		s.refuse = &smtp.SMTPError{Code: code, Message: "not today"}
	}
}

// Mails are those that arrived so far.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Next waits for the next message.
func (s *Server) Next(t testing.TB) Mail {
	t.Helper()
	select {
	case m := <-s.arrived:
		return m
	case <-time.After(30 * time.Second):
		t.Fatal("no mail arrived within 30 s")
		return Mail{}
	}
}

type session struct {
	server   *Server
	from, to string
	signedIn bool
}

// AuthMechanisms are the ways of signing in.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth checks user and password.
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != User || password != Password {
			return &smtp.SMTPError{Code: 535, Message: "wrong: " + user + " " + password}
		}
		s.signedIn = true
		return nil
	}), nil
}

// Mail begins a message.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if !s.signedIn {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

// Rcpt names its recipient.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.refuse != nil {
		return s.server.refuse
	}
	s.to = to
	return nil
}

// Data takes its text.
func (s *session) Data(r io.Reader) error {
	m, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		return err
	}
	// A long line may be folded with a soft break, which a reader puts together.
	text := strings.NewReplacer("=\r\n", "", "=3D", "=", "\r\n", "\n").Replace(string(body))
	arrived := Mail{From: s.from, To: s.to, Header: m.Header, Body: text}
	s.server.mu.Lock()
	s.server.mails = append(s.server.mails, arrived)
	s.server.mu.Unlock()
	select {
	case s.server.arrived <- arrived:
	default:
	}
	return nil
}

// Reset forgets the message that was begun.
func (s *session) Reset() { s.from, s.to = "", "" }

// Logout ends the session.
func (s *session) Logout() error { return nil }
