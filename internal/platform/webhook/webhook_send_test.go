package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"changeover/internal/platform/outgoing"
	"changeover/internal/platform/webhook"
)

func sender(t *testing.T, allow string) *webhook.Sender {
	t.Helper()
	list, err := outgoing.ParseAllow(allow)
	if err != nil {
		t.Fatal(err)
	}
	return &webhook.Sender{Dialer: outgoing.New(outgoing.Config{Allow: list})}
}

func TestSend(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if status >= 300 && status < 400 {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	followed := false
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", answer(204, ""))
	mux.HandleFunc("/broken", answer(500, "\x00no\n\ncoffee "+strings.Repeat("x", 999)))
	mux.HandleFunc("/moved", answer(307, ""))
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { followed = true })
	mux.HandleFunc("/gone", answer(410, ""))
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
	})
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	defer plain.Close()
	defer secure.Close()
	for name, c := range map[string]struct {
		url, allow string
		status     int
		says       string
		gone       bool
	}{
		"taken":           {plain.URL + "/ok", "127.0.0.0/8", 204, "", false},
		"500":             {plain.URL + "/broken", "127.0.0.0/8", 500, "answered 500", false},
		"redirect":        {plain.URL + "/moved", "127.0.0.0/8", 307, "which is not followed", false},
		"410":             {plain.URL + "/gone", "127.0.0.0/8", 410, "wants no more", true},
		"slow":            {plain.URL + "/slow", "127.0.0.0/8", 0, "did not answer within 0.3 s", false},
		"not allowed":     {plain.URL + "/ok", "", 0, "CHANGEOVER_OUTGOING_ALLOW", false},
		"bad certificate": {secure.URL + "/ok", "127.0.0.0/8", 0, "certificate", false},
		"no TLS there":    {strings.Replace(plain.URL, "http:", "https:", 1) + "/ok", "127.0.0.0/8", 0, "does not speak TLS", false},
	} {
		from := sender(t, c.allow)
		if name == "slow" { // the others have the time that they need, on a busy machine too
			from.Within = 300 * time.Millisecond
		}
		got := from.Send(t.Context(), webhook.Message{URL: c.url, ID: "1", Kind: "test", Body: []byte("{}"), Secrets: []string{"s"}})
		if got.Status != c.status || !strings.Contains(got.Problem, c.says) || (got.Problem == "") != (c.says == "") || got.Gone != c.gone {
			t.Errorf("%s: %+v", name, got)
		}
		if strings.Contains(got.Problem, "/ok") || len(got.Excerpt) > 310 || strings.ContainsAny(got.Excerpt, "\x00\n") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if followed {
		t.Error("a redirect was followed")
	}
	trusting := sender(t, "127.0.0.0/8")
	trusting.Roots = x509.NewCertPool()
	trusting.Roots.AddCert(secure.Certificate())
	if got := trusting.Send(t.Context(), webhook.Message{URL: secure.URL + "/ok", Body: []byte("{}")}); got.Status != 204 {
		t.Errorf("a trusted certificate: %+v", got)
	}
}

func TestSign(t *testing.T) {
	at := time.Unix(1764000000, 0)
	mac := hmac.New(sha256.New, []byte("new"))
	mac.Write([]byte(`1764000000.{"a":1}`))
	got := webhook.Sign(at, []byte(`{"a":1}`), "new", "old")
	if !strings.HasPrefix(got, "t=1764000000,v1="+hex.EncodeToString(mac.Sum(nil))+",v1=") {
		t.Errorf("signed %s", got)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"https://hooks.example.com/T0/B0?x=1", "http://127.0.0.1:8090/", "https://user:pw@example.com", "https://0x7f000001/", "ftp://x", "https://[::1]:443/a#b", "https://a\r\nb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		u, err := webhook.ParseURL("url", typed)
		if err != nil {
			return
		}
		if u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Host == "" || u.Fragment != "" || strings.ContainsAny(u.String(), "\r\n ") {
			t.Errorf("%q came through as %q", typed, u.String())
		}
		again, err := webhook.ParseURL("url", u.String())
		if err != nil || again.String() != u.String() {
			t.Errorf("%q reads as %v, %v", u.String(), again, err)
		}
	})
}
