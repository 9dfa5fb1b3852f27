package main

import (
	"strings"
	"testing"
	"time"

	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/chromedp/chromedp"
)

// TestPeopleInABrowser: an administrator invites somebody to an app as operate.
// They accept, see that app and no other, become one who manages it, and are
// deactivated while their page is open.
func TestPeopleInABrowser(t *testing.T) {
	findBrowser(t)
	s := newSite(t, nil)
	s.listening(t)
	s.signedIn(t, "mei@example.com")
	dbtest.App(t, s.pool, "sushi")
	dbtest.App(t, s.pool, "ramen")

	admin, cook := newTab(t, s.url), newTab(t, s.url)
	admin.signInAs("mei@example.com")
	admin.awaitPath(waitForPage, "/databases")
	admin.open("/apps/sushi")
	admin.fill("email", "cook@example.com")
	admin.run("choose the role", chromedp.SetValue(chromedp.CSS(id("collaborator-form")+" select"), "operate"))
	admin.click("add-collaborator")
	admin.see("invitation-link")
	admin.photograph("people-01-invited")
	link := strings.TrimPrefix(admin.text("invitation-link"), s.cfg.URL.String())

	// The invited one, in a browser of their own.
	cook.open(link)
	cook.see("invitation-form")
	cook.fill("person_name", "Kim the cook")
	cook.fill("password", "short")
	cook.fill("password_again", "short")
	cook.click("accept")
	cook.see("error-password")
	cook.fill("password", secondPassword)
	cook.fill("password_again", secondPassword)
	cook.photograph("people-02-accept")
	cook.click("accept")
	cook.awaitPath(waitForPage, "/apps/sushi")
	cook.see("maintenance-on")
	operator := `!document.querySelector('[data-testid="collaborator-form"]') && !document.querySelector('[data-testid="app-create-database"]')`
	cook.await(waitForPage, "what operate may, and no more", operator)
	cook.photograph("people-03-operate")
	cook.open("/apps")
	if list := ask(cook, "read the apps", chromedp.Text(chromedp.CSS("main"))); !strings.Contains(list, "sushi") || strings.Contains(list, "ramen") {
		t.Errorf("the list of apps:\n%s", list)
	}
	cook.open("/apps/ramen")
	if page := ask(cook, "read the answer", chromedp.Text(chromedp.CSS("main"))); !strings.Contains(page, "There is no app ramen") {
		t.Errorf("another's app answers:\n%s", page)
	}
	for len(cook.errs) > 0 {
		if text := <-cook.errs; !isStatus(text) { // the 404 is meant
			t.Errorf("the page complained: %s", text)
		}
	}

	// Promoted while the page is open: it shows what manage may, by itself.
	cook.open("/apps/sushi")
	cook.await(waitForPage, "the live connection", `document.querySelector('[data-live="on"]')`)
	admin.open("/apps/sushi")
	row := id("member-cook@example.com")
	admin.run("choose manage", chromedp.SetValue(chromedp.CSS(row+" select"), "manage"))
	admin.click("change-role-cook@example.com")
	admin.await(waitForPage, "the role", `document.querySelector('[data-testid="member-cook@example.com"] select')?.value === "manage" && document.querySelector(".flash")`)
	cook.see("collaborator-form")
	cook.see("app-create-database")
	cook.photograph("people-04-manage")
	if access, err := s.accessOf(t.Context(), s.userNamed(t, "cook@example.com")); err != nil || len(access.Apps) != 1 || access.OnAll(access.AppIDs()...) != platform.RoleManage {
		t.Errorf("access %+v (%v)", access, err)
	}

	// Deactivated: the open page loses its socket and leads to signing in.
	admin.open("/settings/people")
	admin.run("open the person", chromedp.Click(chromedp.CSS(id("person-cook@example.com")+" a")))
	admin.see("deactivate")
	admin.photograph("people-05-person")
	sockets := func() (n int) {
		user := s.userNamed(t, "cook@example.com").ID
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		for b := range s.hub.browsers {
			if b.user == user {
				n++
			}
		}
		return n
	}
	if sockets() == 0 {
		t.Fatal("the open page has no socket")
	}
	start := time.Now()
	admin.click("deactivate")
	admin.see("reactivate")
	await(t, waitForPage, "the socket is closed", func() bool { return sockets() == 0 })
	cook.awaitPath(waitForPage, "/sign-in")
	t.Logf("the open page stood at the sign-in page %d ms after the press", time.Since(start).Milliseconds())
	admin.photograph("people-06-deactivated")
	cook.fill("email", "cook@example.com")
	cook.fill("password", secondPassword)
	cook.click("sign-in")
	cook.await(waitForPage, "the refusal", `document.querySelector(".error-summary")?.innerText.includes("deactivated")`)
	cook.photograph("people-07-refused")
	admin.open("/audit?person=mei@example.com&act=deactivate+person")
	admin.awaitText(waitForPage, "audit", "cook@example.com")
	admin.wantNoErrors()
}

// TestPeopleChangeWhileLookedAt: what another administrator does to an app's
// people, invitations and config vars shows by itself, and takes nothing away that
// is being typed, nor the answer to a form.
func TestPeopleChangeWhileLookedAt(t *testing.T) {
	findBrowser(t)
	s := newSite(t, nil)
	s.listening(t)
	other := s.signedIn(t, "other@example.com")
	s.signedInAs(t, "cook@example.com", false)
	s.signedIn(t, "mei@example.com")
	dbtest.App(t, s.pool, "sushi")
	b := newTab(t, s.url)
	b.signInAs("mei@example.com")
	b.awaitPath(waitForPage, "/databases")
	b.open("/apps/sushi")
	b.await(waitForPage, "the live connection", `document.querySelector('[data-live="on"]')`)
	b.fill("email", "half-typed")
	member := `document.querySelector('[data-testid="member-cook@example.com"]')`

	other.get("/apps/sushi")
	other.submit("/apps/sushi/collaborators", "email", "cook@example.com", "role", "view")
	other.want(200, "/apps/sushi")
	b.await(waitForPage, "the new collaborator", member)
	other.submit("/apps/sushi/collaborators", "email", "new@example.com", "role", "view")
	b.await(waitForPage, "the invitation", `document.querySelector('[data-testid="invitation-new@example.com"]')`)
	other.get("/apps/sushi")
	other.submit(other.page.Find(`[data-testid="revoke-new@example.com"]`).AttrOr("formaction", ""))
	b.await(waitForPage, "the invitation gone", `!document.querySelector('[data-testid="invitation-new@example.com"]')`)
	other.get("/apps/sushi")
	other.submit("/apps/sushi/config-vars", "name", "LOG_LEVEL", "value", "debug")
	b.await(waitForPage, "the config var", `[...document.querySelectorAll("#config-vars th")].some((th) => th.textContent.includes("LOG_LEVEL"))`)
	other.get("/settings/people")
	person := personPath(s.userNamed(t, "cook@example.com").ID)
	other.get(person)
	other.submit(person + "/deactivate")
	b.await(waitForPage, "the mark of who is deactivated", member+`?.textContent.includes("deactivated")`)
	other.get("/apps/sushi")
	other.submit(other.page.Find(`[data-testid="remove-cook@example.com"]`).AttrOr("formaction", ""))
	b.await(waitForPage, "the collaborator gone", "!"+member)
	if typed := ask(b, "read the field", chromedp.Evaluate[string](`document.querySelector('[data-testid="collaborator-form"] [name=email]').value`)); typed != "half-typed" {
		t.Errorf("the field holds %q", typed)
	}

	// A refused form is an answer without an address: it stays, also over a gap.
	b.click("add-collaborator")
	b.see("error-email")
	b.await(waitForPage, "the live connection", `document.querySelector('[data-live="on"]')`)
	other.get("/apps/sushi")
	other.submit("/apps/sushi/maintenance", "on", "true")
	b.await(waitForPage, "the mode, which is a fragment", `document.querySelector('[data-testid="mode"]').textContent.includes("aintenance")`)
	s.hub.dropSessions(func(*browser) bool { return true })
	b.await(waitForPage, "the lost connection", `document.querySelector('[data-live="off"]')`)
	b.await(waitForPage, "the next connection", `document.querySelector('[data-live="on"]')`)
	other.get("/apps/sushi")
	other.submit("/apps/sushi/maintenance", "on", "false")
	b.await(waitForPage, "the mode again", `document.querySelector('[data-testid="maintenance-on"]')`)
	b.see("error-email")
	if typed := ask(b, "read the field", chromedp.Evaluate[string](`document.querySelector('[data-testid="collaborator-form"] [name=email]').value`)); typed != "half-typed" {
		t.Errorf("after the refusal the field holds %q", typed)
	}
}
