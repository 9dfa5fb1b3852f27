package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// softKey is a passkey in this test's memory, which signs whatever it is told
// to: what a browser would refuse, too.
type softKey struct {
	t       *testing.T
	key     *ecdsa.PrivateKey
	id      []byte
	handle  string // of the person, as the site gave it
	site    string
	origin  string
	counter uint32
	flags   byte // present 1, unlocked 4
}

// softVisit is a browser that has the site open at http://localhost.
func softVisit(v *visit) *visit {
	v.base = strings.Replace(v.base, "127.0.0.1", "localhost", 1)
	return v
}

// onLocalhost is a browser signed in at http://localhost.
func (s *site) onLocalhost(t *testing.T, email string) *visit {
	t.Helper()
	v := softVisit(s.visit(t))
	v.get("/sign-in")
	v.submit("/sign-in", "email", email, "password", testPassword)
	v.want(200, "/databases")
	return v
}

func newSoftKey(t *testing.T, v *visit) *softKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id)
	return &softKey{t: t, key: key, id: id, site: "localhost", origin: v.base, flags: 1 | 4}
}

// browserOptions are what the site asks a browser for.
type browserOptions struct {
	PublicKey struct {
		Challenge string `json:"challenge"`
		RPID      string `json:"rpId"`
		User      struct {
			ID string `json:"id"`
		} `json:"user"`
		AllowCredentials []struct {
			ID string `json:"id"`
		} `json:"allowCredentials"`
		UserVerification string `json:"userVerification"`
	} `json:"publicKey"`
	Error string `json:"error"`
}

func (k *softKey) data(attested []byte) []byte {
	sum := sha256.Sum256([]byte(k.site))
	out := append(sum[:], k.flags)
	if attested != nil {
		out[32] |= 64
	}
	k.counter++
	return append(binary.BigEndian.AppendUint32(out, k.counter), attested...)
}

func (k *softKey) client(kind, challenge string) []byte {
	text, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": k.origin, "crossOrigin": false})
	if err != nil {
		k.t.Fatal(err)
	}
	return text
}

func (k *softKey) answer(response map[string]any) string {
	b64 := base64.RawURLEncoding.EncodeToString
	for name, value := range response {
		if raw, ok := value.([]byte); ok {
			response[name] = b64(raw)
		}
	}
	text, err := json.Marshal(map[string]any{"id": b64(k.id), "rawId": b64(k.id), "type": "public-key", "clientExtensionResults": map[string]any{}, "response": response})
	if err != nil {
		k.t.Fatal(err)
	}
	return string(text)
}

// made is the answer to a site that asks for a new passkey.
func (k *softKey) made(o browserOptions) string {
	k.t.Helper()
	k.handle = o.PublicKey.User.ID
	point, err := k.key.PublicKey.Bytes()
	if err != nil {
		k.t.Fatal(err)
	}
	cose, err := webauthncbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	if err != nil {
		k.t.Fatal(err)
	}
	attested := make([]byte, 16)
	attested = binary.BigEndian.AppendUint16(attested, uint16(len(k.id)))
	attested = append(append(attested, k.id...), cose...)
	object, err := webauthncbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": k.data(attested)})
	if err != nil {
		k.t.Fatal(err)
	}
	return k.answer(map[string]any{"clientDataJSON": k.client("webauthn.create", o.PublicKey.Challenge), "attestationObject": object, "transports": []string{"internal"}})
}

// used is the answer to a site that asks who it is.
func (k *softKey) used(o browserOptions) string {
	k.t.Helper()
	client, data := k.client("webauthn.get", o.PublicKey.Challenge), k.data(nil)
	sum := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), sum[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, k.key, digest[:])
	if err != nil {
		k.t.Fatal(err)
	}
	return k.answer(map[string]any{"clientDataJSON": client, "authenticatorData": data, "signature": signature, "userHandle": k.handle})
}

// asked are the options that a path gives the browser that looks at a page.
func (v *visit) asked(path, purpose string) browserOptions {
	v.t.Helper()
	path0, body, page := v.path, v.body, v.page
	v.post(path, url.Values{"csrf_token": {v.csrf()}, "purpose": {purpose}})
	var o browserOptions
	if err := json.Unmarshal([]byte(v.body), &o); err != nil && v.status == http.StatusOK {
		v.t.Fatalf("%s: %v: %s", path, err, v.body)
	}
	v.path, v.body, v.page = path0, body, page
	return o
}

// addPasskey goes through the pages with a passkey of that name.
func (v *visit) addPasskey(t *testing.T, name string) *softKey {
	t.Helper()
	k := newSoftKey(t, v)
	v.get("/settings")
	v.submit("/settings/passkeys/new", "passkey_name", name)
	v.want(200, "/settings/passkeys/new")
	v.submit("/settings/passkeys", "credential", k.made(v.madeOptions()))
	return k
}

// madeOptions are those that stand in the page of a new passkey.
func (v *visit) madeOptions() browserOptions {
	v.t.Helper()
	var o browserOptions
	if err := json.Unmarshal([]byte(v.page.Find("form.passkey").AttrOr("data-passkey-options", "")), &o); err != nil || o.PublicKey.Challenge == "" {
		v.t.Fatalf("no options in the page: %v", err)
	}
	return o
}
