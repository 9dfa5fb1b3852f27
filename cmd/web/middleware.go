package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

const (
	requestIDKey = "request id"
	// mostBody is more than any form needs: the largest field is a config var.
	mostBody = 1 << 20
)

// newFormToken is 256 random bits.
func newFormToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// requestID is the reference that an error page shows and the log has.
func requestID(c echo.Context) string {
	id, _ := c.Get(requestIDKey).(string)
	return id
}

// observe gives the request its id, catches a panic of whatever is inside, and
// writes the request log: no query string, no header, since both can hold
// secrets, and the route's pattern in place of a path that holds a token.
func (a *app) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		start := time.Now()
		id := strings.ToLower(rand.Text()[:12])
		c.Set(requestIDKey, id)
		ctx, queries := db.CountQueries(c.Request().Context())
		c.SetRequest(c.Request().WithContext(ctx))
		c.Response().Header().Set("X-Request-Id", id)
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared by identity as net/http does
					panic(p)
				}
				a.log.Error("panic", "request", id, "path", c.Path(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				err = fmt.Errorf("panic: %v", p)
			}
			if err != nil {
				c.Error(err) // answered here, so that the status below is the real one
				err = nil
			}
			if isAnonymous(c.Request().URL.Path) {
				return
			}
			path := c.Request().URL.Path
			if strings.HasPrefix(c.Path(), "/sign-in/") || strings.HasPrefix(path, feedPath) || strings.HasPrefix(path, invitationPath) ||
				strings.HasPrefix(path, jobs.UnsubscribePath) {
				path = c.Path()
			}
			a.counts.add(c, time.Since(start), queries.Load())
			level := slog.LevelInfo
			if c.Path() == "/apps/:app/config-vars" && c.Response().Status == http.StatusOK {
				level = slog.LevelDebug // apps poll it, hundreds of times a second during a switch
			}
			a.log.Log(c.Request().Context(), level, "request", "request", id, "method", c.Request().Method, "path", path, "status", c.Response().Status,
				"ms", float64(time.Since(start).Microseconds())/1000, "queries", queries.Load(), "user", visitorOf(c).UserID, "ip", a.clientIP(c))
		}()
		return next(c)
	}
}

func (a *app) clientIP(c echo.Context) string {
	return a.hosts.clientIP(c.Request().RemoteAddr, c.Request().Header.Values("X-Forwarded-For"))
}

// contentPolicy allows nothing but this site: no inline script, no inline
// style, no other host, no frame around it.
const contentPolicy = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"frame-ancestors 'none'; form-action 'self'; base-uri 'none'; object-src 'none'"

// secureHeaders sets what every answer carries.
func (a *app) secureHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", contentPolicy)
		// Answers, JSON ones too, hold state that is old in a second and names
		// that are nobody else's business; what may be kept says so itself.
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
		if a.cfg.HTTPS() {
			h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		}
		return next(c)
	}
}

// checkHost refuses requests for names that are not ours: a page of another
// site whose name was made to point here would otherwise be of our origin.
func (a *app) checkHost(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !a.hosts.hostAllowed(c.Request().Host) {
			return c.String(http.StatusMisdirectedRequest, fmt.Sprintf("Changeover is not served under this name. Open %s, or set CHANGEOVER_URL.\n", a.cfg.URL))
		}
		return next(c)
	}
}

// limitBody ends a request whose body is larger than any form.
func limitBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		r.Body = http.MaxBytesReader(c.Response(), r.Body, mostBody)
		return next(c)
	}
}

// compress gzips pages; the socket and what is small already stay as they are.
func compress() echo.MiddlewareFunc {
	return middleware.GzipWithConfig(middleware.GzipConfig{
		Level: 5, MinLength: 1024,
		Skipper: func(c echo.Context) bool { return c.Request().URL.Path == "/live" || isAnonymous(c.Request().URL.Path) },
	})
}
