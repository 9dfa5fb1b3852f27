package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5/pgconn"
)

// freeze puts something in the place of a database's server that takes
// connections and says nothing, as a server that was stopped a moment ago: nobody
// knows of it yet.
func (d *seeded) freeze(t *testing.T, it platform.Database) {
	t.Helper()
	server, err := db.ServerOf(t.Context(), d.pool, it.ID)
	noErr(t, err)
	d.engine = d.engine.(lookAlike).servers // asks the server itself
	config := d.engine.Admin(engine.Server{ID: server.ID, Port: server.Port, Major: server.Major}, it.DatabaseName)
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	if network == "unix" {
		noErr(t, os.MkdirAll(filepath.Dir(address), 0o700))
	}
	silent, err := net.Listen(network, address)
	noErr(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
}

// No page waits for a server that has just frozen: it is shown without what the
// server would say, and the live connection, or the page itself, brings that.
func TestMeasuredPagesOfAServerThatFroze(t *testing.T) {
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.listen(ctx)
	v := s.signedIn(t, pagesUser)
	d := seed(t, s)
	v.get("/databases") // what is made at the first page is not what is measured
	d.freeze(t, d.leader)
	database, plan := databasePath(d.leader.Name), databasePath(d.leader.Name)+"/change-plan?plan=standard-4"
	timed := func(path string) {
		t.Helper()
		began := time.Now()
		v.get(path)
		if took := time.Since(began); v.status != 200 || took > lookWithin+300*time.Millisecond {
			t.Errorf("GET %s: %d after %s", path, v.status, took)
		}
	}
	conn, _, err := v.watch(db.LiveDatabase(d.leader.ID))
	noErr(t, err)
	heard := messages(conn)
	for range 3 {
		timed(database)
	}
	if text := v.page.Find(string(id("activity"))).Text(); !strings.Contains(text, "has not answered yet") {
		t.Errorf("the activity says %q", text)
	}
	awaitMessage(t, heard, "what became of it", func(m message) bool {
		return about(db.LiveDatabase(d.leader.ID))(m) && strings.Contains(strings.Join(m.Fragments, ""), "does not answer")
	}, nil)

	timed(plan)
	if v.page.Find(string(id("being-looked-at"))).Length() != 1 || v.page.Find("main [data-again]").Length() != 1 || v.page.Find(string(id("start"))).Length() != 1 {
		t.Errorf("the change of plan: %s", v.text())
	}
	await(t, 15*time.Second, "the check says that it does not answer", func() bool {
		timed(plan)
		return strings.Contains(v.page.Find(string(id("checks"))).Text(), "does not answer")
	})
	if v.page.Find(string(id("start"))).Length() != 0 {
		t.Error("a change that could not be checked is offered")
	}

	// The answer to a form cannot ask again, and waits a little.
	v.post(databasePath(d.leader.Name)+"/upgrade", map[string][]string{"csrf_token": {v.csrf()}, "plan": {"standard-3"}, "when": {"at"}, "date": {"soon"}, "time": {"02:00"}})
	v.want(422, databasePath(d.leader.Name)+"/upgrade")
	if v.page.Find("[data-again]").Length() == 0 && !strings.Contains(v.text(), "not answer") {
		t.Errorf("the answer to a form: %s", v.text())
	}
}

// A look is asked once at a time, is waited for only so long, and what comes late
// reaches those who were told that it would.
func TestLooks(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	asked, began := 0, time.Now()
	release := make(chan struct{})
	ask := func(context.Context) (string, error) { asked++; <-release; return "found", nil }
	first, second := lookAt(s.app, "it", "", time.Minute, ask), lookAt(s.app, "it", "", time.Minute, ask)
	for _, found := range []looking[string]{first, second} {
		if _, _, err := found(time.Millisecond); !notYet(err) {
			t.Errorf("while it is asked: %v", err)
		}
	}
	close(release)
	for _, found := range []looking[string]{first, lookAt(s.app, "it", "", time.Minute, ask)} {
		if text, at, err := found(10 * time.Second); text != "found" || at.Before(began) || at.After(time.Now()) || err != nil {
			t.Errorf("it was answered %q at %s, %v", text, at, err)
		}
	}
	if asked != 1 {
		t.Errorf("it was asked %d times", asked)
	}
	// What stands in for an answer that is late says when it was found out.
	before := time.Now().Add(-lookKept / 2)
	s.looks.mu.Lock()
	s.looks.all["it"].foundAt = before
	s.looks.mu.Unlock()
	hangs := func(ctx context.Context) (string, error) { <-t.Context().Done(); return "", ctx.Err() }
	if text, at, err := lookAt(s.app, "it", "", time.Minute, hangs)(time.Millisecond); text != "found" || !at.Equal(before) || err != nil {
		t.Errorf("in its place: %q at %s, want %s, %v", text, at, before, err)
	}
	_, _, err := lookAt(s.app, "another", "", time.Minute, func(context.Context) (string, error) { panic("at the disco") })(10 * time.Second)
	if err == nil || !strings.Contains(err.Error(), "at the disco") {
		t.Errorf("a look that panics: %v", err)
	}
}
