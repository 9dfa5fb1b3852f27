package main

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/component"

	"github.com/labstack/echo/v4"
)

// tokenCreate serves POST /settings/tokens. The token is shown once, in the
// answer to this very request, and never again.
func (a *app) tokenCreate(c echo.Context) error {
	input, err := readInput(c)
	if err != nil {
		return err
	}
	v := visitorOf(c)
	if v.APIToken {
		return platform.Forbidden("API tokens are made in the browser, under Settings.")
	}
	wanted, err := readToken(input)
	if err != nil {
		return a.refusedForm(c, err, func(form component.Form) error { return a.showSettings(c, settingsForms{token: form}) })
	}
	noteSubject(c, shortened(wanted.name))
	noteDetail(c, "Scope "+wanted.scope+".")
	make := db.CreateAPIToken
	if wanted.scope == db.ScopeRead {
		make = db.CreateReadToken
	}
	token, made, err := make(c.Request().Context(), a.pool, v.UserID, wanted.name, wanted.life)
	if err != nil {
		return err
	}
	if user, err := db.UserByID(c.Request().Context(), a.pool, v.UserID); err == nil {
		a.tell(c, user, "A new API token", "An API token named "+made.Name+" was made for you, with the scope "+made.Scope+".")
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return a.showSettings(c, settingsForms{newToken: token})
}

// wantedToken is a token as it was asked for; a life of 0 never ends.
type wantedToken struct {
	name, scope string
	life        time.Duration
}

// longestToken is the longest life that can be chosen, in days.
const longestToken = 3660

// readToken reads the form of a new token.
func readToken(input map[string]string) (wantedToken, error) {
	t := wantedToken{name: strings.TrimSpace(input["token_name"]), scope: or(input["token_scope"], db.ScopeRead)}
	if t.name == "" {
		return t, platform.Invalid("token_name", "Give the token a name that says which program uses it.")
	}
	if utf8.RuneCountInString(t.name) > mostName {
		return t, platform.Invalid("token_name", "The name is longer than %d characters. Make it shorter.", mostName)
	}
	if t.scope != db.ScopeRead && t.scope != db.ScopeFull {
		return t, platform.Invalid("token_scope", "A token may read, or do all that you may. Choose one of the two.")
	}
	days, err := strconv.Atoi(or(input["token_days"], "90"))
	if err != nil || days < 0 || days > longestToken {
		return t, platform.Invalid("token_days", "A token is good for up to %d days, or for ever (0). Choose how long.", longestToken)
	}
	t.life = time.Duration(days) * 24 * time.Hour
	return t, nil
}

// tokenRevoke serves POST /settings/tokens/:id/revoke.
func (a *app) tokenRevoke(c echo.Context) error {
	id, err := number(c, "id")
	if err != nil {
		return err
	}
	if err := db.DeleteAPIToken(c.Request().Context(), a.pool, visitorOf(c).UserID, id); err != nil {
		return err
	}
	if isAPI(c) {
		return c.NoContent(204)
	}
	a.flashOK(c, "The token is revoked; programs that use it are refused from now on.")
	return seeOther(c, "/settings")
}
