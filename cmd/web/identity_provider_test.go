package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const providerSecret = "a-secret-between-the-two-programs"

// testProvider is an identity provider of the test's own. claims changes what it
// says of whoever comes.
type testProvider struct {
	*httptest.Server
	t   *testing.T
	key *ecdsa.PrivateKey

	mu      sync.Mutex
	asked   url.Values // of the last browser
	claims  func(map[string]any)
	signer  *ecdsa.PrivateKey // key where it is nil
	codes   map[string]url.Values
	refused string // an error in place of a code
}

func newTestProvider(t *testing.T) *testProvider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &testProvider{t: t, key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "first", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("/authorize", p.authorize)
	mux.HandleFunc("/token", p.token)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// authorize signs everybody in at once and sends the browser back.
func (p *testProvider) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	p.asked = q
	back := url.Values{"state": {q.Get("state")}}
	if p.refused != "" {
		back.Set("error", p.refused)
	} else {
		code := rand.Text()
		p.codes[code] = q
		back.Set("code", code)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// token exchanges a code, once, for whoever has the secret and the verifier.
func (p *testProvider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	client, secret, _ := r.BasicAuth()
	q, known := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !known || client != "changeover" || secret != providerSecret || q.Get("code_challenge_method") != "S256" ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != q.Get("code_challenge") || r.FormValue("redirect_uri") != q.Get("redirect_uri") {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	claims := map[string]any{"iss": p.URL, "sub": "42", "aud": "changeover", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(),
		"nonce": q.Get("nonce"), "email": "chef@example.com", "email_verified": true, "name": "The Chef"}
	if p.claims != nil {
		p.claims(claims)
	}
	key := p.key
	if p.signer != nil {
		key = p.signer
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "first"}}, nil)
	if err != nil {
		p.t.Error(err)
		return
	}
	text, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
		return
	}
	signed, err := signer.Sign(text)
	if err != nil {
		p.t.Error(err)
		return
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		p.t.Error(err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "unused", "token_type": "Bearer", "id_token": raw})
}

// says changes what the provider says from then on.
func (p *testProvider) says(change func(map[string]any)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims = change
}

// behaves lets it sign with another key, or refuse.
func (p *testProvider) behaves(signer *ecdsa.PrivateKey, refused string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signer, p.refused = signer, refused
}

// account makes it say that the browser's person is somebody.
func (p *testProvider) account(subject, email string) {
	p.says(func(c map[string]any) { c["sub"], c["email"] = subject, email })
}

// settings are those of a program that lets people of example.com in.
func (p *testProvider) settings() map[string]string {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(providerSecret+"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return map[string]string{
		"CHANGEOVER_OIDC_ISSUER": p.URL, "CHANGEOVER_OIDC_CLIENT_ID": "changeover", "CHANGEOVER_OIDC_SECRET_FILE": file,
		"CHANGEOVER_OIDC_DOMAINS": "example.com, Example.org", "CHANGEOVER_OUTGOING_ALLOW": strings.TrimPrefix(p.URL, "http://"),
	}
}
