package main

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
	"golang.org/x/oauth2"
)

// identities is the identity provider, asked for its own description when it is
// first needed: the program starts without it.
type identities struct {
	*identityProvider
	client *http.Client // through the guarded dialer
	back   string       // where answers go

	mu       sync.Mutex
	provider *oidc.Provider
}

// find is the provider's description.
func (i *identities) find(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.provider == nil {
		// The provider keeps the client for its keys, so no request's end may end it.
		found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), i.client), i.Issuer)
		if err != nil {
			return nil, nil, i.away(err)
		}
		if to := found.Endpoint(); !i.encrypted(to.AuthURL) || !i.encrypted(to.TokenURL) {
			return nil, nil, i.away(errors.New("its addresses are not encrypted"))
		}
		i.provider = found
	}
	return i.provider, &oauth2.Config{ClientID: i.Client, ClientSecret: i.Secret, Endpoint: i.provider.Endpoint(), RedirectURL: i.back, Scopes: []string{oidc.ScopeOpenID, "email", "profile"}}, nil
}

// encrypted is whether an address of the provider is as safe as its own.
func (i *identities) encrypted(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(i.Issuer, "http://")
}

// away is the sentence for people; the reason is in the log.
func (i *identities) away(err error) error {
	var ours *platform.Error
	if errors.As(err, &ours) && ours.Kind == platform.KindForbidden {
		return ours // the dialer's: which setting lets it out
	}
	return platform.Unavailable(err, "%s did not answer as an identity provider does. Try again in a minute, or sign in in another way; whoever runs Changeover finds more in its log.", i.Host)
}

// begun is what a browser holds between going to the provider and coming back.
// It is sealed: nobody else can make or read one.
type begun struct {
	State, Nonce, Verifier, Next string
	At                           time.Time
	Again                        bool // to prove again who it is
}

const (
	begunCookie  = "provider"
	begunContext = "identity provider: begun"
	begunFor     = 10 * time.Minute
)

func (a *app) keepBegun(c echo.Context, b begun) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	c.SetCookie(a.cookie(begunCookie, base64.RawURLEncoding.EncodeToString(a.sealer.Seal(string(text), begunContext)), int(begunFor/time.Second)))
	return nil
}

// takeBegun is what the browser holds; ok is false for nothing that counts.
func (a *app) takeBegun(c echo.Context) (b begun, ok bool) {
	cookie, err := c.Cookie(a.cookieName(begunCookie))
	if err != nil {
		return b, false
	}
	c.SetCookie(a.cookie(begunCookie, "", -1))
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return b, false
	}
	text, err := a.sealer.Open(sealed, begunContext)
	if err != nil || json.Unmarshal([]byte(text), &b) != nil || b.State == "" || b.Nonce == "" {
		return b, false
	}
	return b, time.Since(b.At) < begunFor
}

// claims is what the provider says of somebody.
type claims struct {
	Subject  string
	Email    string `json:"email"`
	Verified any    `json:"email_verified"` // some say "true"
	Name     string `json:"name"`
	Party    string `json:"azp"`
	AuthTime int64  `json:"auth_time"`
}

// answerOf checks an answer of the provider from its state to its nonce.
func (a *app) answerOf(c echo.Context) (claims, begun, error) {
	var who claims
	ctx := oidc.ClientContext(c.Request().Context(), a.identities.client)
	was, ok := a.takeBegun(c)
	if !ok || subtle.ConstantTimeCompare([]byte(was.State), []byte(c.QueryParam("state"))) != 1 {
		return who, was, platform.Conflict("This sign-in was begun in another browser, took longer than 10 minutes, or was answered before. Begin again.")
	}
	if first, err := db.SpendState(ctx, a.pool, was.State); err != nil || !first {
		if err == nil {
			err = platform.Conflict("This answer of %s was taken before. Begin again.", a.identities.Host)
		}
		return who, was, err
	}
	if from := c.QueryParam("iss"); from != "" && from != a.identities.Issuer {
		return who, was, platform.Forbidden("This answer came from another identity provider than %s. Begin again.", a.identities.Host)
	}
	if code := c.QueryParam("error"); code != "" {
		return who, was, platform.Forbidden("%s did not sign you in (%s). Try again, or sign in in another way.", a.identities.Host, shortened(code))
	}
	provider, config, err := a.identities.find(ctx)
	if err != nil {
		return who, was, err
	}
	token, err := config.Exchange(ctx, c.QueryParam("code"), oauth2.VerifierOption(was.Verifier))
	if err != nil {
		return who, was, a.identities.away(withoutAnswer(err))
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: a.identities.Client}).Verify(ctx, raw)
	if err == nil && subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(was.Nonce)) != 1 {
		err = errors.New("the nonce is another one")
	}
	if err == nil {
		err = id.Claims(&who)
	}
	if err == nil && who.Party != "" && who.Party != a.identities.Client {
		err = errors.New("it was made for another program")
	}
	if err == nil && was.Again && who.AuthTime != 0 && time.Since(time.Unix(who.AuthTime, 0)) > begunFor {
		err = errors.New("it did not ask again who it is")
	}
	if err != nil {
		a.log.Warn("an answer of the identity provider was refused", "request", requestID(c), "error", err)
		return who, was, platform.Forbidden("The answer of %s does not hold, so nobody was signed in. Begin again; whoever runs Changeover finds the reason in its log.", a.identities.Host)
	}
	who.Subject, who.Email = id.Subject, strings.ToLower(strings.TrimSpace(who.Email))
	return who, was, a.identities.admits(who)
}

// withoutAnswer keeps what a provider answered out of the log: it may hold a token.
func withoutAnswer(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return errors.New("the code was not exchanged: " + refused.ErrorCode)
	}
	return err
}

// admits is nil for who has an address that the provider has verified, in one of
// the domains that are let in. It is asked at every sign-in.
func (i *identities) admits(who claims) error {
	if who.Email == "" || who.Verified != true && who.Verified != "true" {
		return platform.Forbidden("%s has not verified your mail address, so it says nothing about who you are. Let it verify the address, and begin again.", i.Host)
	}
	local, domain, _ := strings.Cut(who.Email, "@")
	if local == "" || strings.Contains(domain, "@") || !slices.Contains(i.Domains, domain) {
		return platform.Forbidden("Addresses of %s are not let in here, only those of %s. Sign in at %s with another account.", shortened(or(domain, "no domain")), strings.Join(i.Domains, ", "), i.Host)
	}
	return nil
}

// personOf is who signs in as an account at the provider: who is linked to it,
// else who has its address, else somebody new without rights. An administrator
// is linked only while signed in here, having proved it within minutes.
func (a *app) personOf(c echo.Context, who claims) (user db.User, linked bool, err error) {
	ctx, v := c.Request().Context(), visitorOf(c)
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		var err error
		user, err = db.UserByIdentity(ctx, tx, a.identities.Issuer, who.Subject)
		known := !isKind(err, platform.KindNotFound)
		if known && err != nil {
			return err
		}
		// Whoever is signed in proves that they are, or links an account of their own.
		if v.UserID != 0 && (known && user.ID != v.UserID || !known && who.Email != v.Email) {
			return platform.Forbidden("You are signed in as %s, and %s answered with another account. Choose the account of that address there, or sign out here first.", v.Email, a.identities.Host)
		}
		if known {
			return nil
		}
		user, err = db.UserByEmail(ctx, tx, who.Email)
		switch {
		case isKind(err, platform.KindNotFound):
			user, err = newcomer(ctx, tx, who)
		case err == nil:
			linked = true
			err = a.linksByAddress(ctx, tx, user, v)
		}
		if err != nil {
			return err
		}
		return db.LinkIdentity(ctx, tx, user.ID, a.identities.Issuer, who.Subject)
	})
	return user, linked, err
}

// newcomer is somebody new, without rights.
func newcomer(ctx context.Context, tx pgx.Tx, who claims) (db.User, error) {
	user, err := db.CreateUser(ctx, tx, who.Email, false)
	name := strings.Join(strings.Fields(who.Name), " ")
	if err != nil || name == "" || len(name) > mostName {
		return user, err
	}
	user.Name = name
	return user, db.SetUserName(ctx, tx, user.ID, name)
}

// linksByAddress is nil for whom an account at the provider may be linked to that
// has their address: whoever is signed in and has proved it within minutes, and
// otherwise whoever is no administrator and has not unlinked it before.
func (a *app) linksByAddress(ctx context.Context, tx pgx.Tx, user db.User, v visitor) error {
	if v.UserID == user.ID && time.Since(v.ProvedAt) < provedFor {
		return nil
	}
	way := "Sign in with the password or a passkey, and link them under Settings."
	if v.UserID == user.ID {
		way = fmt.Sprintf("Sign out, sign in again with the password or a passkey, and link them under Settings within %.0f minutes.", provedFor.Minutes())
	}
	if user.IsAdmin {
		return platform.Forbidden("%s is an administrator, who is not linked to %s by the address alone. %s", user.Email, a.identities.Host, way)
	}
	unlinked, err := db.HasUnlinked(ctx, tx, user.ID, a.identities.Issuer)
	if err == nil && unlinked {
		err = platform.Forbidden("%s was unlinked from %s under Settings, and the address alone does not link the two again. %s", user.Email, a.identities.Host, way)
	}
	if err != nil || v.UserID != 0 {
		return err
	}
	// Nobody has shown yet that the account was set up by the person whose address
	// it has: an invitation's link proves nothing about that.
	return db.EndWaysIn(ctx, tx, user.ID)
}
