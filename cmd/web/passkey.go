package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/labstack/echo/v4"
)

// What a challenge is for; an answer counts for nothing else.
const (
	forRegistering = "register"
	forSignIn      = "sign in"
	forSecond      = "second"
	forProof       = "proof"
)

// passkeySite is the name at which the browser has the site open. Passkeys
// belong to it; whyNot is a sentence where there cannot be any.
type passkeySite struct {
	name, origin, whyNot string
}

// passkeySiteOf asks the Host header, which is one of ours by now.
func (a *app) passkeySiteOf(c echo.Context) passkeySite {
	host := strings.ToLower(c.Request().Host)
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), ""
	}
	scheme := "http"
	if host == strings.ToLower(a.cfg.URL.Host) || port == "" && strings.EqualFold(name, a.cfg.URL.Hostname()) {
		scheme = a.cfg.URL.Scheme
	}
	s := passkeySite{name: name, origin: scheme + "://" + host}
	ip := net.ParseIP(name)
	switch {
	case ip != nil && ip.IsLoopback():
		s.whyNot = "Passkeys belong to a name, and this site is open at the address " + name + ". Open it at http://" + net.JoinHostPort("localhost", or(port, "80")) + " instead, and sign in there."
	case ip != nil:
		s.whyNot = "Passkeys belong to a name, and this site is open at the address " + name + ". Give it one, with https, in CHANGEOVER_URL, and open it there."
	case scheme != "https" && name != "localhost" && !strings.HasSuffix(name, ".localhost"):
		s.whyNot = "Browsers have passkeys only where the connection is encrypted. Serve this site with https and set CHANGEOVER_URL to that address."
	}
	return s
}

// party is the library's view of the site.
func (s passkeySite) party() (*webauthn.WebAuthn, error) {
	if s.whyNot != "" {
		return nil, platform.Conflict("%s", s.whyNot)
	}
	return webauthn.New(&webauthn.Config{RPID: s.name, RPDisplayName: "Changeover on " + s.name, RPOrigins: []string{s.origin},
		// A person is what is known here, so that a passkey is two factors in one.
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(), UserVerification: protocol.VerificationRequired,
		},
		AttestationPreference: protocol.PreferNoAttestation,
		Timeouts: webauthn.TimeoutsConfig{
			Login:        webauthn.TimeoutConfig{Timeout: 5 * time.Minute, TimeoutUVD: 5 * time.Minute},
			Registration: webauthn.TimeoutConfig{Timeout: 5 * time.Minute, TimeoutUVD: 5 * time.Minute},
		}})
}

// passkeyPerson is a person as the library asks for one.
type passkeyPerson struct {
	db.User
	handle   []byte
	passkeys []webauthn.Credential
}

// WebAuthnID is the random handle that passkeys know the person by.
func (p *passkeyPerson) WebAuthnID() []byte { return p.handle }

// WebAuthnName is the address.
func (p *passkeyPerson) WebAuthnName() string { return p.Email }

// WebAuthnDisplayName is the name, or the address of who has none.
func (p *passkeyPerson) WebAuthnDisplayName() string { return or(p.Name, p.Email) }

// WebAuthnCredentials are the passkeys for the site.
func (p *passkeyPerson) WebAuthnCredentials() []webauthn.Credential { return p.passkeys }

// personAt is the person with their passkeys for the site.
func (a *app) personAt(ctx context.Context, user db.User, site passkeySite) (*passkeyPerson, error) {
	p := &passkeyPerson{User: user}
	var err error
	if p.handle, err = db.PasskeyHandle(ctx, a.pool, user.ID); err != nil {
		return nil, err
	}
	list, err := db.ListPasskeys(ctx, a.pool, user.ID)
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		if k.Site != site.name {
			continue
		}
		var credential webauthn.Credential
		if err := json.Unmarshal(k.Credential, &credential); err != nil {
			return nil, err
		}
		p.passkeys = append(p.passkeys, credential)
	}
	return p, nil
}

// challenge keeps what a ceremony needs to be finished by this very browser.
func (a *app) challenge(c echo.Context, purpose string, userID *int64, session *webauthn.SessionData) error {
	ceremony, err := json.Marshal(session)
	if err != nil {
		return err
	}
	return db.CreatePasskeyChallenge(c.Request().Context(), a.pool, session.Challenge, visitorOf(c).CSRF, db.PasskeyChallenge{Purpose: purpose, UserID: userID, Ceremony: ceremony})
}

// answered is the ceremony that an answer belongs to. It is used up by that.
func (a *app) answered(c echo.Context, challenge, purpose string) (db.PasskeyChallenge, webauthn.SessionData, error) {
	var session webauthn.SessionData
	kept, err := db.TakePasskeyChallenge(c.Request().Context(), a.pool, challenge, visitorOf(c).CSRF, purpose)
	if isKind(err, platform.KindNotFound) {
		err = platform.Conflict("%s", failureOf(err, "").Message)
	}
	if err == nil {
		err = json.Unmarshal(kept.Ceremony, &session)
	}
	return kept, session, err
}

// noGoodPasskey is the one sentence about an answer that does not hold.
func noGoodPasskey() error {
	return platform.Invalid("", "This passkey does not fit. Use one that you have added here, or sign in in another way.")
}

// beginPasskey makes the options for using a passkey: any, where user is nil.
func (a *app) beginPasskey(c echo.Context, purpose string, user *db.User) (*protocol.CredentialAssertion, error) {
	site := a.passkeySiteOf(c)
	party, err := site.party()
	if err != nil {
		return nil, err
	}
	if user == nil {
		options, session, err := party.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
		if err != nil {
			return nil, err
		}
		return options, a.challenge(c, purpose, nil, session)
	}
	person, err := a.personAt(c.Request().Context(), *user, site)
	if err != nil {
		return nil, err
	}
	if len(person.passkeys) == 0 {
		return nil, platform.Conflict("You have no passkey for %s. Prove it in another way.", site.name)
	}
	need := protocol.VerificationRequired
	if purpose == forSecond {
		need = protocol.VerificationPreferred // the password was right already
	}
	options, session, err := party.BeginLogin(person, webauthn.WithUserVerification(need))
	if err != nil {
		return nil, err
	}
	return options, a.challenge(c, purpose, &user.ID, session)
}

// usedPasskey is whose passkey an answer is of. user is who it has to be, nil
// for anybody.
func (a *app) usedPasskey(c echo.Context, purpose string, user *db.User, answer string) (db.User, error) {
	ctx, site := c.Request().Context(), a.passkeySiteOf(c)
	party, err := site.party()
	if err != nil {
		return db.User{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return db.User{}, noGoodPasskey()
	}
	kept, session, err := a.answered(c, parsed.Response.CollectedClientData.Challenge, purpose)
	if err != nil {
		return db.User{}, err
	}
	if user == nil && kept.UserID != nil || user != nil && (kept.UserID == nil || *kept.UserID != user.ID) {
		return db.User{}, noGoodPasskey()
	}
	var found *passkeyPerson
	var credential *webauthn.Credential
	if user == nil {
		var who webauthn.User
		who, credential, err = party.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
			known, err := db.UserByPasskeyHandle(ctx, a.pool, handle)
			if err != nil {
				return nil, err
			}
			return a.personAt(ctx, known, site)
		}, session, parsed)
		found, _ = who.(*passkeyPerson)
	} else if found, err = a.personAt(ctx, *user, site); err == nil {
		credential, err = party.ValidateLogin(found, session, parsed)
	}
	if err != nil {
		a.log.Info("a passkey was refused", "request", requestID(c), "error", err)
		return db.User{}, noGoodPasskey()
	}
	noteActor(c, found.Email)
	if credential.Authenticator.CloneWarning {
		return db.User{}, platform.Forbidden("This passkey has counted backwards, as a copy of it would. Remove it under Settings, and sign in in another way.")
	}
	record, err := json.Marshal(credential)
	if err != nil {
		return db.User{}, err
	}
	return found.User, db.NotePasskeyUsed(ctx, a.pool, credential.ID, record)
}

// madePasskey reads the answer of a browser that was to make a passkey.
func (a *app) madePasskey(c echo.Context, user db.User, answer string) (*webauthn.Credential, error) {
	site := a.passkeySiteOf(c)
	party, err := site.party()
	if err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return nil, platform.Invalid("", "The browser gave no passkey. Try again.")
	}
	kept, session, err := a.answered(c, parsed.Response.CollectedClientData.Challenge, forRegistering)
	if err != nil {
		return nil, err
	}
	person, err := a.personAt(c.Request().Context(), user, site)
	if err != nil {
		return nil, err
	}
	if kept.UserID == nil || *kept.UserID != user.ID || !bytes.Equal(session.UserID, person.handle) {
		return nil, noGoodPasskey()
	}
	credential, err := party.CreateCredential(person, session, parsed)
	if err != nil {
		a.log.Info("a passkey was not taken", "request", requestID(c), "error", err)
		return nil, platform.Invalid("", "This passkey was not taken: what the browser sent does not fit this site. Try again, or with another device.")
	}
	return credential, nil
}
