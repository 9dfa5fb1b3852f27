package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	"changeover/internal/platform"

	gomail "github.com/wneessen/go-mail"
)

// sendWithin is how long a message may take from the first byte to the last.
const sendWithin = 30 * time.Second

// Message is one plain text to one address.
type Message struct {
	ID      string // what makes it the same one when it is sent again; without @
	To      string
	Subject string
	Body    string
	// Unsubscribe, where it is set, is the address that stops such mails, for the
	// mail program's own button; under https also with one click (RFC 8058).
	Unsubscribe string
}

// Sender sends messages. Safe for concurrent use.
type Sender struct {
	// Dialer is the guarded way out.
	Dialer interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	}
	// Roots are who may sign the mail server's certificate; nil: the system's.
	Roots *x509.CertPool
}

// ErrRefused is a mail server's last word: it will not take this message, however
// often it is sent.
var ErrRefused = errors.New("the mail server refused the message for good")

// Send hands the message to the mail server of s. Errors are sentences for
// whoever keeps the settings; the password is in none. One that wraps ErrRefused
// need not be tried again.
func (r *Sender) Send(ctx context.Context, s Settings, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	message, err := compose(s, m)
	if err != nil {
		return err
	}
	client, err := r.client(s)
	if err != nil {
		return platform.Invalid("host", "The mail server's settings cannot be used. Type them again.")
	}
	if err := client.DialWithContext(ctx); err != nil {
		return explain(s, err)
	}
	err = client.Send(message)
	_ = client.Close() // it has answered; how it says goodbye changes nothing
	if err != nil {
		return explain(s, err)
	}
	return nil
}

func compose(s Settings, m Message) (*gomail.Msg, error) {
	message := gomail.NewMsg()
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return nil, badFrom()
	}
	message.FromMailAddress(from)
	to, err := mail.ParseAddress(m.To)
	if err != nil || strings.ContainsAny(m.To, "\r\n") {
		return nil, &platform.Error{Kind: platform.KindInvalid, Message: "The address of the recipient is not an e-mail address. Correct it.", Err: ErrRefused}
	}
	message.ToMailAddress(to)
	message.Subject(strings.Join(strings.Fields(m.Subject), " "))
	message.SetDate()
	_, domain, _ := strings.Cut(from.Address, "@")
	message.SetMessageIDWithValue(m.ID + "@" + domain)
	message.SetGenHeader("Auto-Submitted", "auto-generated")
	if m.Unsubscribe != "" {
		message.SetGenHeader(gomail.HeaderListUnsubscribe, "<"+m.Unsubscribe+">")
		if strings.HasPrefix(m.Unsubscribe, "https://") {
			message.SetGenHeader(gomail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
		}
	}
	message.SetBodyString(gomail.TypeTextPlain, m.Body)
	return message, nil
}

func (r *Sender) client(s Settings) (*gomail.Client, error) {
	config := &tls.Config{ServerName: s.Host, RootCAs: r.Roots, MinVersion: tls.VersionTLS12}
	dial := r.Dialer.DialContext
	policy := gomail.TLSMandatory
	if s.TLS == TLSImplicit {
		policy = gomail.NoTLS // the connection is encrypted already
		dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			plain, err := r.Dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			conn := tls.Client(plain, config)
			if err := conn.HandshakeContext(ctx); err != nil {
				_ = plain.Close()
				return nil, err
			}
			return conn, nil
		}
	}
	options := []gomail.Option{
		gomail.WithPort(s.Port), gomail.WithTimeout(sendWithin), gomail.WithTLSPolicy(policy), gomail.WithTLSConfig(config),
		gomail.WithDialContextFunc(dial), gomail.WithHELO("changeover.invalid"),
	}
	if s.User != "" {
		options = append(options, gomail.WithUsername(s.User), gomail.WithPassword(s.Password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	return gomail.NewClient(s.Host, options...)
}

// explain makes a sentence of what failed. What a server says while somebody
// signs in to it is left out: it may repeat what it was sent.
func explain(s Settings, err error) error {
	var ours *platform.Error
	var reply *textproto.Error
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var send *gomail.SendError
	var network net.Error
	text := err.Error()
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &invalid):
		return platform.Unavailable(nil, "The certificate of %s is not one that this machine trusts for that name. Check the host's name, or have the certificate renewed.", s.Host)
	case errors.As(err, &record):
		return platform.Unavailable(nil, "%s does not speak TLS on port %d from the start. Choose STARTTLS, or another port (often 465).", s.Host, s.Port)
	case strings.Contains(text, "does not support STARTTLS"):
		return platform.Unavailable(nil, "%s does not offer STARTTLS on port %d, and nothing is sent unencrypted. Choose TLS from the start, or another port (often 587).", s.Host, s.Port)
	case strings.Contains(text, "AUTH"):
		if errors.As(err, &reply) {
			return platform.Unavailable(nil, "%s does not take this user name and password (it answered %d). Check both.", s.Host, reply.Code)
		}
		return platform.Unavailable(nil, "%s offers no way of signing in that Changeover knows. Leave user name and password empty if it needs none.", s.Host)
	case errors.As(err, &send):
		return explainReply(s, send)
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return platform.Unavailable(nil, "%s did not answer within %d s on port %d. Check the port and how the connection is encrypted.", s.Host, int(sendWithin.Seconds()), s.Port)
	}
	return platform.Unavailable(nil, "The conversation with %s on port %d broke off. Check the port and how the connection is encrypted.", s.Host, s.Port)
}

func explainReply(s Settings, send *gomail.SendError) error {
	code := send.ErrorCode()
	switch {
	case code >= 500:
		return &platform.Error{Kind: platform.KindUnavailable, Err: ErrRefused,
			Message: platform.Unavailable(nil, "%s refused the message for good (it answered %d). Check the sender's and the recipient's address.", s.Host, code).Message}
	case code >= 400:
		return platform.Unavailable(nil, "%s does not take the message now (it answered %d). It is sent again later.", s.Host, code)
	}
	return platform.Unavailable(nil, "The conversation with %s broke off while the message was sent. It is sent again later.", s.Host)
}
