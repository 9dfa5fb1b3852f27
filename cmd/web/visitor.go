package main

import (
	"context"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

// visitor is who asks. The zero value is nobody.
type visitor struct {
	UserID      int64
	Email       string
	Name        string
	Admin       bool
	Access      platform.Access
	HasPassword bool
	SessionID   string    // names the session; it is not the cookie
	CSRF        string    // what the visitor's forms must send back
	ProvedAt    time.Time // when the session's person last proved who they are
	ReadOnly    bool      // an API token of the scope read
	APIToken    bool      // came with Authorization: cookies were not read
	NeedsFactor bool      // a second factor is required here, and the visitor has none
}

const (
	visitorKey = "visitor"
	givenKey   = "session token given"
)

func visitorOf(c echo.Context) visitor {
	v, _ := c.Get(visitorKey).(visitor)
	return v
}

// isAPI is whether the request is API: it has an Authorization header. Every
// other request is pages, never both (safety 5).
func isAPI(c echo.Context) bool { return c.Request().Header.Get(echo.HeaderAuthorization) != "" }

const (
	sessionCookie = "session"
	formCookie    = "form"
)

// cookieName is the cookie's name under the public URL's scheme. Under https a
// browser takes a __Host- cookie only from this very host, with Secure.
func (a *app) cookieName(name string) string {
	if a.cfg.HTTPS() {
		return "__Host-changeover-" + name
	}
	return "changeover-" + name
}

// identify finds out who asks: by the token of an API request, else by the
// session's cookie. Not to be signed in is no error here; the route decides.
func (a *app) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if isAnonymous(c.Request().URL.Path) {
			return next(c)
		}
		ctx := c.Request().Context()
		if isAPI(c) {
			scheme, token, _ := strings.Cut(c.Request().Header.Get(echo.HeaderAuthorization), " ")
			if !strings.EqualFold(scheme, "Bearer") || token == "" {
				return unauthorized(c)
			}
			found, user, err := db.FindAPIToken(ctx, a.pool, strings.TrimSpace(token))
			if platform.KindOf(err) == platform.KindForbidden {
				return unauthorized(c)
			}
			if err != nil {
				return err
			}
			access, err := a.accessOf(ctx, user)
			if err != nil {
				return err
			}
			c.Set(visitorKey, visitor{UserID: user.ID, Email: user.Email, Name: user.Name, Admin: user.IsAdmin, Access: access, HasPassword: user.PasswordHash != nil, APIToken: true, ReadOnly: found.Scope == db.ScopeRead})
			return next(c)
		}
		if token := a.sessionToken(c); token != "" {
			session, user, err := db.FindSession(ctx, a.pool, token, db.SessionIdleLimit, db.SessionAbsoluteLimit)
			switch {
			case platform.KindOf(err) == platform.KindNotFound:
				a.clearSession(c)
			case err != nil:
				return err
			default:
				access, err := a.accessOf(ctx, user)
				if err != nil {
					return err
				}
				needs, err := a.needsFactor(ctx, user.ID)
				if err != nil {
					return err
				}
				c.Set(visitorKey, visitor{
					UserID: user.ID, Email: user.Email, Name: user.Name, Admin: user.IsAdmin, Access: access, HasPassword: user.PasswordHash != nil,
					SessionID: session.Handle, CSRF: session.CSRFToken, ProvedAt: session.ProvedAt, NeedsFactor: needs,
				})
				return next(c)
			}
		}
		// Nobody yet: the forms of the sign-in pages are tied to a cookie of
		// their own, so that no other site can sign a browser in.
		c.Set(visitorKey, visitor{CSRF: a.formToken(c)})
		return next(c)
	}
}

// accessOf is what a user may see and do; of an administrator it needs no
// question.
func (a *app) accessOf(ctx context.Context, user db.User) (platform.Access, error) {
	if user.IsAdmin {
		return platform.Everything(), nil
	}
	return db.AccessOf(ctx, a.pool, user.ID)
}

// isAnonymous is whether path is for everybody and asks the control database
// nothing.
func isAnonymous(path string) bool {
	return path == "/healthz" || path == "/readyz" || strings.HasPrefix(path, "/static/")
}

func unauthorized(c echo.Context) error {
	c.Response().Header().Set("WWW-Authenticate", `Bearer realm="changeover"`)
	return echo.NewHTTPError(http.StatusUnauthorized)
}

// sessionToken is the browser's: what this very answer gave it, else what it sent.
func (a *app) sessionToken(c echo.Context) string {
	if token, _ := c.Get(givenKey).(string); token != "" {
		return token
	}
	cookie, err := c.Cookie(a.cookieName(sessionCookie))
	if err != nil || len(cookie.Value) > 100 {
		return ""
	}
	return cookie.Value
}

func (a *app) setSession(c echo.Context, token string) {
	c.Set(givenKey, token)
	c.SetCookie(a.cookie(sessionCookie, token, int(db.SessionAbsoluteLimit.Seconds())))
}

func (a *app) clearSession(c echo.Context) { c.SetCookie(a.cookie(sessionCookie, "", -1)) }

func (a *app) cookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: a.cookieName(name), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: a.cfg.HTTPS(), SameSite: http.SameSiteLaxMode,
	}
}

// formToken is the token that ties a form to a browser that is not signed in;
// it is made on the first look at such a form.
func (a *app) formToken(c echo.Context) string {
	if cookie, err := c.Cookie(a.cookieName(formCookie)); err == nil && len(cookie.Value) == 43 {
		return cookie.Value
	}
	if c.Request().Method != http.MethodGet {
		return ""
	}
	token := newFormToken()
	c.SetCookie(a.cookie(formCookie, token, 0))
	return token
}

// checkForm refuses a POST of a page that does not carry the visitor's CSRF
// token, or that a browser says comes from another site. API requests have no
// cookies, so they need none.
func (a *app) checkForm(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if r.Method == http.MethodGet || r.Method == http.MethodHead || isAPI(c) || isAnonymous(r.URL.Path) {
			return next(c)
		}
		// The link of a mail is its own proof, and mail programs send it without a
		// cookie or a form of ours.
		if strings.HasPrefix(r.URL.Path, jobs.UnsubscribePath) {
			return next(c)
		}
		if origin := r.Header.Get("Origin"); origin != "" && !a.hosts.originAllowed(origin, r.Host) {
			return platform.Forbidden("This form was sent from another site (%s). Open Changeover itself and do it there.", shortened(origin))
		}
		// A body that is too large or broken is that error, not a missing token.
		if _, err := formFields(c); err != nil {
			return err
		}
		sent, want := c.FormValue("csrf_token"), visitorOf(c).CSRF
		if want == "" || subtle.ConstantTimeCompare([]byte(sent), []byte(want)) != 1 {
			return platform.Forbidden("This form is too old: you signed in, signed out or changed your password since it was shown. Go back, reload the page and send it again.")
		}
		return next(c)
	}
}

func shortened(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}
