package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestLiveIsForOurOwnPages shakes hands as other sites, rebound names and
// programs would. Only a page of ours, at a host that is ours, with a session,
// gets the socket; the others get an answer and hear nothing.
func TestLiveIsForOurOwnPages(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	session := "changeover-" + sessionCookie + "=" + v.cookie(sessionCookie)
	for _, c := range []struct {
		name, host, origin, cookie string
		want                       int
	}{
		{"a page of ours", u.Host, s.url, session, http.StatusSwitchingProtocols},
		{"another site", u.Host, "https://evil.example", session, http.StatusForbidden},
		{"another site of our name", u.Host, "http://" + u.Host + ".evil.example", session, http.StatusForbidden},
		{"another program of this machine", u.Host, "http://127.0.0.1:1", session, http.StatusForbidden},
		{"our host by another scheme", u.Host, "https://" + u.Host, session, http.StatusForbidden},
		{"a page of no site", u.Host, "null", session, http.StatusForbidden},
		{"no browser at all", u.Host, "", session, http.StatusForbidden},
		{"a rebound name", "evil.example", "http://evil.example", session, http.StatusMisdirectedRequest},
		{"a rebound name on our port", "evil.example:" + u.Port(), "http://evil.example:" + u.Port(), session, http.StatusMisdirectedRequest},
		{"a wrong host from a page of ours", "evil.example", s.url, session, http.StatusMisdirectedRequest},
		{"nobody", u.Host, s.url, "", http.StatusForbidden},
		{"a made-up session", u.Host, s.url, "changeover-" + sessionCookie + "=guessed", http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := http.Header{"Host": {c.host}}
			if c.origin != "" {
				header.Set("Origin", c.origin)
			}
			if c.cookie != "" {
				header.Set("Cookie", c.cookie)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			conn, answer, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+u.Host+"/live", header)
			if conn != nil {
				defer conn.Close()
			}
			if answer == nil {
				t.Fatalf("no answer: %v", err)
			}
			if answer.StatusCode != c.want {
				t.Errorf("%d, want %d", answer.StatusCode, c.want)
			}
			if (err == nil) != (c.want == http.StatusSwitchingProtocols) || err != nil && !errors.Is(err, websocket.ErrBadHandshake) {
				t.Errorf("the handshake: %v", err)
			}
		})
	}
}
