package main

import (
	"net/netip"
	"net/url"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

// signIn gives the browser a session of its own; the one it had before, if
// any, ends, so that nobody can have planted it. how is what proved who it is.
func (a *app) signIn(c echo.Context, user db.User, how string) error {
	ctx := c.Request().Context()
	if old := a.sessionToken(c); old != "" {
		if err := db.EndSession(ctx, a.pool, old); err != nil {
			return err
		}
	}
	token, session, err := db.CreateSession(ctx, a.pool, user.ID, a.clientIP(c), c.Request().UserAgent())
	if err != nil {
		return err
	}
	access, err := a.accessOf(ctx, user)
	if err != nil {
		return err
	}
	noteActor(c, user.Email)
	noteDetail(c, "With "+how+".")
	a.notePlace(c, user, how)
	a.setSession(c, token)
	c.SetCookie(a.cookie(formCookie, "", -1))
	c.Set(visitorKey, visitor{
		UserID: user.ID, Email: user.Email, Name: user.Name, Admin: user.IsAdmin, Access: access, HasPassword: user.PasswordHash != nil,
		SessionID: session.Handle, CSRF: session.CSRFToken, ProvedAt: session.ProvedAt,
	})
	return nil
}

// notePlace remembers whence the person signed in, and tells them of a place
// that is new. It never keeps anybody from signing in.
func (a *app) notePlace(c echo.Context, user db.User, how string) {
	ip, agent := a.clientIP(c), c.Request().UserAgent()
	isNew, err := db.NoteSignInPlace(c.Request().Context(), a.pool, user.ID, networkOf(ip)+" "+browserName(agent))
	if err != nil {
		a.log.Warn("the place of a sign-in was not kept", "request", requestID(c), "error", err)
		return
	}
	if isNew {
		a.noticeNewPlace(c, user, how, browserName(agent), ip)
		a.tell(c, user, "A sign-in from a new place", "Somebody signed in as you with "+how+", from a place from which you had not signed in before: "+
			browserName(agent)+", address "+ip+".")
	}
}

// noticeNewPlace puts the same into the person's own feed.
func (a *app) noticeNewPlace(c echo.Context, user db.User, how, browser, ip string) {
	_, err := db.CreateNotice(c.Request().Context(), a.pool, db.NewNotice{
		Kind: platform.NoticeNewPlace, UserID: &user.ID, Subject: "A sign-in from a new place",
		Body: "Somebody signed in as you with " + how + ", from a place from which you had not signed in before: " + browser + ", address " + ip + ".\n\n" +
			"If this was you, nothing needs to be done. If not, change your password under Settings and sign out every other browser there.",
	})
	if err != nil {
		a.log.Warn("a notice about a sign-in was not kept", "request", requestID(c), "error", err)
	}
}

// networkOf is the part of an address that stays when a provider gives out
// another one: 24 bits of IPv4, 48 of IPv6.
func networkOf(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	prefix, _ := addr.Prefix(bits)
	return prefix.String()
}

// signOut serves POST /sign-out.
func (a *app) signOut(c echo.Context) error {
	if token := a.sessionToken(c); token != "" {
		if err := db.EndSession(c.Request().Context(), a.pool, token); err != nil {
			return err
		}
	}
	session := visitorOf(c).SessionID
	a.hub.dropSessions(func(b *browser) bool { return session != "" && b.session == session })
	a.clearSession(c)
	return seeOther(c, "/sign-in")
}

func queryEscape(s string) string { return url.QueryEscape(s) }
