// Package webhook owns how one signed message leaves over HTTP: the address as
// a person types it, the signature, and the sending. It knows no tables and no
// jobs; it imports platform and platform/outgoing only.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"changeover/internal/platform"
	"changeover/internal/platform/outgoing"
)

const (
	// sendWithin is how long a receiver may take to answer.
	sendWithin = 15 * time.Second
	// mostExcerpt is how much of an answer is kept.
	mostExcerpt = 300
	// SignatureHeader has the time and the signatures: "t=1764000000,v1=…".
	SignatureHeader = "Changeover-Signature"
)

// ParseURL reads an address as a person types it: https, or http, which anybody
// on the way can read. Errors are Invalid at field.
func ParseURL(field, typed string) (*url.URL, error) {
	return outgoing.ParseURL(field, typed, "https", "http")
}

// Sign is the header's value: the time in seconds, and for each secret the
// HMAC-SHA256 over "time.body" in hexadecimal. While a secret is exchanged there
// are two.
func Sign(at time.Time, body []byte, secrets ...string) string {
	t := strconv.FormatInt(at.Unix(), 10)
	value := "t=" + t
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(t + "."))
		mac.Write(body)
		value += ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	return value
}

// Message is one delivery.
type Message struct {
	URL     string
	ID      string // the same when it is sent again
	Kind    string
	Body    []byte
	Secrets []string
}

// Result is what came of sending once.
type Result struct {
	Status  int // 0: no answer
	Took    time.Duration
	Excerpt string // the beginning of the answer, as text
	Problem string // a sentence; empty when it was taken
	Gone    bool   // the receiver says that it wants no more (410)
}

// Sender sends messages. Safe for concurrent use.
type Sender struct {
	Dialer *outgoing.Dialer
	// Roots are who may sign receivers' certificates; nil: the system's.
	Roots *x509.CertPool
	// Within is how long a receiver may take; 15 s when zero.
	Within time.Duration
}

// Send makes one request. A redirect is not followed: what was signed for one
// address is not for another.
func (s *Sender) Send(ctx context.Context, m Message) Result {
	within := s.Within
	if within == 0 {
		within = sendWithin
	}
	started := time.Now()
	u, err := ParseURL("url", m.URL)
	if err != nil {
		return Result{Problem: explain(err, within)}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(m.Body))
	if err != nil {
		return Result{Problem: "The address cannot be used. Type it again."}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Changeover-Webhook/1")
	request.Header.Set("Changeover-Kind", m.Kind)
	request.Header.Set("Changeover-Delivery", m.ID)
	request.Header.Set(SignatureHeader, Sign(started, m.Body, m.Secrets...))
	client := s.Dialer.Client(within)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Transport = &http.Transport{DialContext: s.Dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: s.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: within, ResponseHeaderTimeout: within, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10}
	answer, err := client.Do(request)
	if err != nil {
		return Result{Took: time.Since(started), Problem: explain(err, within)}
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	r := Result{Status: answer.StatusCode, Took: time.Since(started), Excerpt: excerpt(text), Gone: answer.StatusCode == http.StatusGone}
	switch {
	case r.Status >= 300 && r.Status < 400:
		r.Problem = "The receiver sends the request on (it answered " + strconv.Itoa(r.Status) + "), which is not followed. Give the address where it ends."
	case r.Gone:
		r.Problem = "The receiver answered 410: it wants no more. The webhook is off."
	case r.Status >= 400:
		r.Problem = "The receiver answered " + strconv.Itoa(r.Status) + " and has not taken it."
	}
	return r
}

func excerpt(text []byte) string {
	clean := strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r < ' ' && r != '\n' && r != '\t' {
			return ' '
		}
		return r
	}, string(text))), " ")
	if r := []rune(clean); len(r) > mostExcerpt {
		return string(r[:mostExcerpt]) + "…"
	}
	return clean
}

// explain makes a sentence of what failed, without the address, whose path may
// be a secret.
func explain(err error, within time.Duration) string {
	var ours *platform.Error
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.As(err, &ours):
		return ours.Message
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &invalid):
		return "The receiver's certificate is not one that this machine trusts for that name. Check the address, or have the certificate renewed."
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "The receiver does not speak TLS on that port. Check the port, or begin the address with http://."
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "The receiver did not answer within " + strconv.FormatFloat(within.Seconds(), 'g', -1, 64) + " s."
	}
	return "The conversation with the receiver broke off before it answered."
}
