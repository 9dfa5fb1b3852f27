package outgoing

import (
	"net/http"
	"time"

	"changeover/internal/platform"
)

// mostRedirects is how often an answer may send the request on.
const mostRedirects = 5

// Client asks web addresses through the dialer, each within timeout. It takes
// no proxy from the environment, keeps no cookies, and follows a redirect only
// to an address that could have been typed: https never leads back to http, and
// each new host is resolved and checked like the first.
func (d *Dialer) Client(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: quietRedirects{&http.Transport{
			DialContext:            d.DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    dialWithin,
			ResponseHeaderTimeout:  timeout,
			MaxIdleConns:           10,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		}},
		CheckRedirect: checkRedirect,
	}
}

func checkRedirect(next *http.Request, before []*http.Request) error {
	if len(before) > mostRedirects {
		return platform.Unavailable(nil, "The address sends the request on and on. Give the one where it ends.")
	}
	schemes := []string{"https"}
	if before[len(before)-1].URL.Scheme == "http" {
		schemes = append(schemes, "http")
	}
	u, err := ParseURL("", next.URL.String(), schemes...)
	if err != nil {
		return err
	}
	next.URL, next.Host = u, u.Host
	return nil
}

// quietRedirects refuses an answer that sends the request to an address with a
// password in it, before http.Client quotes that address in an error.
type quietRedirects struct{ http.RoundTripper }

// RoundTrip makes one request.
func (q quietRedirects) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := q.RoundTripper.RoundTrip(r)
	if err != nil || answer.Header.Get("Location") == "" {
		return answer, err
	}
	if to, err := answer.Location(); err != nil || to.User != nil {
		_ = answer.Body.Close()
		return nil, platform.Invalid("", "The address sends the request on to one with a user name or a password in it, which would stand in logs. Give the address where it ends.")
	}
	return answer, nil
}
