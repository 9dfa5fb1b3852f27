package main

import (
	"context"
	"testing"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"
)

// What of a page is no fragment has a name, which page and live messages agree on
// and which changes with it: only so the browser knows when to ask again, and does
// not ask for ever.
func TestPagesAndMessagesAgreeOnTheShape(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.listen(ctx)
	v := s.signedIn(t, pagesUser)
	d := seed(t, s)
	sushi, err := db.AppByName(t.Context(), d.pool, "sushi")
	noErr(t, err)
	viewer := s.signedInAs(t, "looks@example.com", false)
	noErr(t, db.SetMember(t.Context(), d.pool, sushi.ID, s.userNamed(t, "looks@example.com").ID, platform.RoleView, pagesUser))
	for _, c := range []struct {
		path, topic string
		change      string
		id          int64
	}{
		{"/apps/sushi", db.LiveApp(sushi.ID), `update attachments set name = 'RENAMED_' || id where app_id = $1 and name <> 'DATABASE'`, sushi.ID},
		{databasePath(d.leader.Name), db.LiveDatabase(d.leader.ID), `update attachments set name = 'AGAIN_' || id where database_id = $1 and name <> 'DATABASE'`, d.leader.ID},
		{databasePath(d.follower.Name), db.LiveDatabase(d.follower.ID), `delete from attachments where database_id = $1`, d.follower.ID},
	} {
		for who, v := range map[string]*visit{"an administrator": v, "a viewer": viewer} {
			v.get(c.path)
			on := v.page.Find("body").AttrOr("data-shape", "")
			conn, _, err := v.watch(c.topic)
			noErr(t, err)
			if m := next(t, conn, c.topic); on == "" || m.Shape != on {
				t.Errorf("%s, %s: the page says %q, the message %q", c.path, who, on, m.Shape)
			}
			_ = conn.Close()
		}
		v.get(c.path)
		before := v.page.Find("body").AttrOr("data-shape", "")
		d.exec(c.change, c.id)
		v.get(c.path)
		if after := v.page.Find("body").AttrOr("data-shape", ""); c.path != databasePath(d.leader.Name) && after == before {
			t.Errorf("%s: the shape stays %q whatever is attached", c.path, after)
		}
	}
}

// What changes in the instant between a page's render and its subscription is
// shown, on an app's page too, and what is no fragment.
func TestChangeBetweenRenderAndSubscription(t *testing.T) {
	findBrowser(t)
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.listen(ctx)
	v := s.signedIn(t, pagesUser)
	app, err := db.CreateApp(t.Context(), s.pool, "sushi", pagesUser)
	noErr(t, err)
	rendered, subscribe := make(chan struct{}, 10), make(chan struct{})
	allow := s.hub.allow
	s.hub.allow = func(ctx context.Context, user int64, topics []string) ([]subscription, error) {
		rendered <- struct{}{}
		<-subscribe
		return allow(ctx, user, topics)
	}
	b := newTab(t, s.url)
	call(b, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: s.url})
	b.open("/apps/sushi")
	<-rendered
	noErr(t, db.InTx(t.Context(), s.pool, func(tx pgx.Tx) error {
		_, err := db.SetConfigVar(t.Context(), tx, s.sealer, app.ID, "MEANWHILE", "set", pagesUser)
		return err
	}))
	close(subscribe)
	b.see("var-MEANWHILE")
}

// A refused form keeps what was typed when its reader loses their role, and loses
// its button.
func TestRefusedFormLosesItsButtonsWithTheRole(t *testing.T) {
	findBrowser(t)
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.listen(ctx)
	v := s.signedInAs(t, "waiter@example.com", false)
	waiter := s.userNamed(t, "waiter@example.com")
	app, err := db.CreateApp(t.Context(), s.pool, "sushi", pagesUser)
	noErr(t, err)
	noErr(t, db.SetMember(t.Context(), s.pool, app.ID, waiter.ID, platform.RoleOperate, pagesUser))
	b := newTab(t, s.url)
	call(b, "sign in", network.SetCookie, network.SetCookieParams{Name: "changeover-session", Value: v.cookie(sessionCookie), URL: s.url})
	b.open("/apps/sushi")
	b.fill("name", "lower-case")
	b.fill("value", "typed with care")
	b.click("set-config-var")
	b.see("error-name")
	const live = `document.querySelector("[data-live=on]")`
	b.await(waitForPage, "the answer is live", live)
	if !ask(b, "the button can be pressed", chromedp.Evaluate[bool](`!document.querySelector("[data-testid=set-config-var]").disabled`)) {
		t.Fatal("the button is off before the role is gone")
	}
	noErr(t, db.InTx(t.Context(), s.pool, func(tx pgx.Tx) error {
		return db.ChangeMember(t.Context(), tx, app.ID, waiter.ID, platform.RoleView)
	}))
	b.await(waitForPage, "the button is off and says why", `document.querySelector("[data-testid=set-config-var]").disabled && !document.getElementById("withdrawn").hidden`)
	b.await(waitForPage, "what was typed is there", `document.querySelector("input[name=value]").value === "typed with care"`)
	b.picture("form-without-the-role")
}
