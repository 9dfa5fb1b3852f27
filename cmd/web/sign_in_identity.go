package main

import (
	"net/http"
	"strings"
	"time"

	"changeover/internal/platform"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/labstack/echo/v4"
	"golang.org/x/oauth2"
)

// identityBegin serves GET /sign-in/provider: it sends the browser to the
// identity provider, with what its answer must bring back.
func (a *app) identityBegin(c echo.Context) error {
	if a.identities == nil {
		return noProvider()
	}
	// The answer goes to the public address, and so must the cookie.
	if !strings.EqualFold(c.Request().Host, a.cfg.URL.Host) {
		return c.Redirect(http.StatusSeeOther, a.cfg.Link("/sign-in/provider?next="+queryEscape(c.QueryParam("next"))))
	}
	err := a.takeAttempt(c, "")
	var config *oauth2.Config
	if err == nil {
		_, config, err = a.identities.find(c.Request().Context())
	}
	if err != nil {
		return a.identityRefused(c, err)
	}
	b := begun{State: newFormToken(), Nonce: newFormToken(), Verifier: oauth2.GenerateVerifier(), Next: localPath(c.QueryParam("next")), At: time.Now(), Again: visitorOf(c).UserID != 0}
	if err := a.keepBegun(c, b); err != nil {
		return err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(b.Nonce), oauth2.S256ChallengeOption(b.Verifier)}
	if b.Again {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return c.Redirect(http.StatusSeeOther, config.AuthCodeURL(b.State, options...))
}

// identityReturn serves GET /sign-in/provider/return: the provider's answer.
func (a *app) identityReturn(c echo.Context) error {
	if a.identities == nil {
		return noProvider()
	}
	if err := a.takeAttempt(c, ""); err != nil {
		return a.identityRefused(c, err)
	}
	who, was, err := a.answerOf(c)
	if err != nil {
		return a.identityRefused(c, err)
	}
	noteActor(c, who.Email)
	user, linked, err := a.personOf(c, who)
	if err != nil {
		return a.identityRefused(c, err)
	}
	if linked {
		a.tell(c, user, "You can sign in through "+a.identities.Host, "The account "+who.Email+" at "+a.identities.Host+" was linked to you; whoever signs in there as that account signs in here as you.")
	}
	if err := a.enter(c, user, "an account at "+a.identities.Host, was.Next); err != nil {
		return a.identityRefused(c, err)
	}
	return nil
}

// identityRefused is the sign-in page with what was wrong, or the error's page
// for who is signed in already.
func (a *app) identityRefused(c echo.Context, err error) error {
	f := failureOf(err, requestID(c))
	if f.Reference != "" || visitorOf(c).UserID != 0 {
		return err
	}
	if f.Status >= http.StatusInternalServerError {
		a.log.Warn("the identity provider is away", "request", requestID(c), "error", err)
	}
	noteRefusal(c, err)
	retryAfter(c, f.After)
	form := formOf(c)
	form.Summary = f.Message
	c.Response().Status = f.Status
	return a.showSignIn(c, form)
}

func noProvider() error {
	return platform.NotFound("No identity provider is set here. Sign in in another way.")
}
