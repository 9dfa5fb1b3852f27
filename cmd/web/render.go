package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"unicode"

	"changeover/views/component"
	"changeover/views/layout"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"
)

// render writes a page. It is made completely before the first byte goes out,
// so that a failure in the middle is an error page and not half a page.
func (a *app) render(c echo.Context, status int, body templ.Component) error {
	var buffer bytes.Buffer
	if err := body.Render(c.Request().Context(), &buffer); err != nil {
		return err
	}
	return c.HTMLBlob(status, buffer.Bytes())
}

// renderFragments makes the bytes of parts of a page for the live channel.
func renderFragments(ctx context.Context, parts ...templ.Component) ([]string, error) {
	fragments := make([]string, 0, len(parts))
	for _, part := range parts {
		var b strings.Builder
		if err := part.Render(ctx, &b); err != nil {
			return nil, err
		}
		fragments = append(fragments, b.String())
	}
	return fragments, nil
}

// statusOr is the status that was decided for this answer, else 200.
func statusOr(c echo.Context) int {
	if s := c.Response().Status; s != 0 {
		return s
	}
	return http.StatusOK
}

const flashCookie = "flash"

// flash leaves a sentence for the next page.
func (a *app) flash(c echo.Context, tone component.Tone, text string, link component.Link) {
	body, err := json.Marshal(layout.Flash{Tone: tone, Text: text, Link: link})
	if err != nil {
		return
	}
	c.SetCookie(&http.Cookie{
		Name: a.cookieName(flashCookie), Value: base64.RawURLEncoding.EncodeToString(body), Path: "/", MaxAge: 60,
		HttpOnly: true, Secure: a.cfg.HTTPS(), SameSite: http.SameSiteLaxMode,
	})
}

// takeFlash is the sentence that the last request left; it is shown once.
func (a *app) takeFlash(c echo.Context) *layout.Flash {
	cookie, err := c.Cookie(a.cookieName(flashCookie))
	if err != nil {
		return nil
	}
	c.SetCookie(&http.Cookie{Name: cookie.Name, Path: "/", MaxAge: -1, HttpOnly: true, Secure: a.cfg.HTTPS(), SameSite: http.SameSiteLaxMode})
	body, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return nil
	}
	var flash layout.Flash
	if json.Unmarshal(body, &flash) != nil || flash.Text == "" {
		return nil
	}
	if !strings.HasPrefix(flash.Link.URL, "/") || strings.HasPrefix(flash.Link.URL, "//") {
		flash.Link = component.Link{}
	}
	return &flash
}

// seeOther answers a POST: the browser reads the page at path, and reloading
// that does not send the form again.
func seeOther(c echo.Context, path string) error { return c.Redirect(http.StatusSeeOther, path) }

// accepted answers a POST that started an operation: JSON with its id and the
// database that it makes or is about, or the operation's page.
func accepted(c echo.Context, operation int64, database string) error {
	if isAPI(c) {
		body := map[string]any{"operation": operation}
		if database != "" {
			body["database"] = database
		}
		return c.JSON(http.StatusAccepted, body)
	}
	return seeOther(c, operationPath(operation))
}

// localPath is path when it is one of this site, else "/databases": what a
// link carries must not send people elsewhere. Browsers take a backslash for a
// slash and leave tabs and line ends out: "/\t/evil.example" is another site.
func localPath(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.Contains(path, `\`) || strings.ContainsFunc(path, unicode.IsControl) {
		return "/databases"
	}
	return path
}
