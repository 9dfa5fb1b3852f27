package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"changeover/internal/platform"

	"github.com/gorilla/websocket"
	"github.com/labstack/echo/v4"
)

// Limits of a browser's socket.
const (
	mostBrowsers   = 5000
	mostTopics     = 64
	pingEvery      = 5 * time.Second // a page counts 15 s of silence as a dead line
	pongWithin     = 20 * time.Second
	writeWithin    = 10 * time.Second
	recheckEvery   = time.Minute
	liveQueue      = 32
	liveReadBytes  = 8 << 10
	liveBufferSize = 2 << 10
)

// browser is one open socket.
type browser struct {
	user    int64
	session string // the session's id, so that signing out ends the socket
	queue   chan *websocket.PreparedMessage
	watches []feedKey // guarded by hub.mu
	done    chan struct{}
	once    sync.Once
	code    int
	reason  string
}

// watchesAny is whether it watches a topic of one of the kinds; hub.mu is held.
func (b *browser) watchesAny(kinds ...string) bool {
	return slices.ContainsFunc(b.watches, func(key feedKey) bool {
		kind, _ := cutTopic(key.topic)
		return slices.Contains(kinds, kind)
	})
}

// end asks the writer to say goodbye; the first reason counts.
func (b *browser) end(code int, reason string) {
	b.once.Do(func() {
		b.code, b.reason = code, reason
		close(b.done)
	})
}

// liveSocket serves GET /live. The socket only subscribes: what a browser says
// on it is a list of topics and nothing else (safety 5).
func (a *app) liveSocket(c echo.Context) error {
	who := visitorOf(c)
	if who.APIToken {
		return platform.Forbidden("The live connection is for browsers. Read GET /operations/:id with the token instead.")
	}
	upgrader := websocket.Upgrader{
		ReadBufferSize: liveBufferSize, WriteBufferSize: liveBufferSize, WriteBufferPool: a.socketBuffers,
		// A message is compressed once, whatever the number of browsers.
		HandshakeTimeout: 10 * time.Second, EnableCompression: true,
		CheckOrigin: func(r *http.Request) bool { return a.hosts.originAllowed(r.Header.Get("Origin"), r.Host) },
	}
	b := &browser{
		user: who.UserID, session: who.SessionID,
		queue: make(chan *websocket.PreparedMessage, liveQueue), done: make(chan struct{}),
	}
	if !a.hub.join(b, mostBrowsers) {
		return platform.Unavailable(nil, "%d browsers are connected, which is the limit. The page works without the live connection; reload it to see what changed.", mostBrowsers)
	}
	defer a.hub.leave(b)
	conn, err := upgrader.Upgrade(c.Response(), c.Request(), nil)
	if err != nil {
		return nil // the upgrader has answered
	}
	defer func() { _ = conn.Close() }()
	go func() {
		a.liveWrite(conn, b, who)
		_ = conn.Close() // ends the reader below
	}()
	defer b.end(websocket.CloseNormalClosure, "")

	conn.SetReadLimit(liveReadBytes)
	_ = conn.SetReadDeadline(time.Now().Add(pongWithin))
	conn.SetPongHandler(func(string) error { return conn.SetReadDeadline(time.Now().Add(pongWithin)) })
	for {
		_, body, err := conn.ReadMessage()
		if err != nil {
			return nil
		}
		var request struct {
			Watch []string `json:"watch"`
		}
		if json.Unmarshal(body, &request) != nil || len(request.Watch) > mostTopics {
			b.end(websocket.ClosePolicyViolation, "not understood")
			return nil
		}
		if err := a.hub.watch(b, request.Watch); err != nil {
			b.end(websocket.CloseTryAgainLater, "not now")
			return nil
		}
	}
}

// liveWrite is the only writer of a socket.
func (a *app) liveWrite(conn *websocket.Conn, b *browser, who visitor) {
	ping, recheck := time.NewTicker(pingEvery), time.NewTicker(recheckEvery)
	defer ping.Stop()
	defer recheck.Stop()
	for {
		var err error
		select {
		case m := <-b.queue:
			_ = conn.SetWriteDeadline(time.Now().Add(writeWithin))
			err = conn.WritePreparedMessage(m)
		case <-ping.C:
			// Scripts do not see protocol pings, so they get a message of their own.
			now := time.Now().UTC()
			_ = conn.SetWriteDeadline(now.Add(writeWithin))
			err = errors.Join(conn.WriteControl(websocket.PingMessage, nil, now.Add(writeWithin)),
				conn.WriteJSON(message{Topic: "ping", At: now.Truncate(time.Millisecond), Now: now.UnixMilli()}))
		case <-recheck.C:
			if !a.sessionLives(who) {
				b.end(websocket.ClosePolicyViolation, "signed out")
			}
		case <-b.done:
			text := websocket.FormatCloseMessage(b.code, b.reason)
			_ = conn.WriteControl(websocket.CloseMessage, text, time.Now().Add(time.Second))
			return
		}
		if err != nil {
			return
		}
	}
}

// listen keeps the one ear of this process at the control database open until
// ctx ends. After each gap every topic is rendered again.
func (a *app) listen(ctx context.Context) {
	wait := 100 * time.Millisecond
	for ctx.Err() == nil {
		err := a.hear(ctx, func() {
			wait = 100 * time.Millisecond
			a.hub.recheck(func(*browser) bool { return true })
			a.hub.changedAll()
		}, a.heard)
		if ctx.Err() != nil {
			return
		}
		a.log.Warn("the live channel broke; connecting again", "error", err, "in", wait)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, 2*time.Second)
	}
}
