package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/gorilla/websocket"
)

func TestCollaboratorsChange(t *testing.T) {
	e := newEstate(t)
	id := func(email string) int64 { return e.userNamed(t, email).ID }
	path := func(email, act string) string { return fmt.Sprintf("/apps/sushi/collaborators/%d/%s", id(email), act) }
	v := e.visits[theManager]
	// The last one who manages it stays, and is told what to do.
	for what, path := range map[string]string{"smaller": path("manager@example.com", "role"), "removed": path("manager@example.com", "remove"), "leaves": "/apps/sushi/leave"} {
		if e.ask(t, theManager, post, path, url.Values{"role": {"view"}}); v.status != 409 {
			t.Errorf("%s: %d", what, v.status)
		}
		v.wantText("Give somebody else the role manage first")
	}
	if e.ask(t, theManager, post, path("operator@example.com", "role"), url.Values{"role": {"owner"}}); v.status != 422 {
		t.Errorf("an unknown role: %d", v.status)
	}
	if e.ask(t, theManager, post, "/apps/sushi/collaborators", url.Values{"email": {"Operator@example.com"}, "role": {"view"}}); v.status != 422 {
		t.Errorf("somebody who has a role: %d", v.status)
	}
	v.wantText("operator@example.com has the role operate here already")

	e.ask(t, theManager, post, path("operator@example.com", "role"), url.Values{"role": {"manage"}})
	if access, err := db.AccessOf(t.Context(), e.pool, id("operator@example.com")); err != nil || access.On(e.app.ID) != platform.RoleManage {
		t.Errorf("the operator is %s (%v)", access.On(e.app.ID), err)
	}
	e.ask(t, theManager, post, path("viewer@example.com", "remove"), nil)
	if e.ask(t, theViewer, get, "/apps/sushi", nil); e.visits[theViewer].status != 404 {
		t.Errorf("removed, and sees it: %d", e.visits[theViewer].status)
	}
	// Now there is another one: the manager may go, and goes where something is to see.
	e.ask(t, theManager, get, "/apps/sushi/leave", nil)
	v.submit("/apps/sushi/leave")
	if v.status != 303 || v.header.Get("Location") != "/apps" {
		t.Errorf("left: %d to %q", v.status, v.header.Get("Location"))
	}
	if e.ask(t, theManager, get, "/apps/sushi", nil); v.status != 404 {
		t.Errorf("left, and sees it: %d", v.status)
	}
	e.ask(t, theAdmin, get, "/apps/sushi/leave", nil)
	e.visits[theAdmin].wantText("You have no role of your own on sushi")
	e.wantAudit(t, "manager@example.com change role sushi operator@example.com done From operate to manage.", "manager@example.com remove collaborator sushi viewer@example.com done The role was view.",
		"manager@example.com change role sushi manager@example.com refused Nobody else manages this app", "manager@example.com leave app sushi done")
}

func TestPeopleAreDeactivatedAtOnce(t *testing.T) {
	s := newSite(t, nil)
	s.listening(t)
	admin, cook := s.signedIn(t, "mei@example.com"), s.signedInAs(t, "cook@example.com", false)
	sushi := dbtest.App(t, s.pool, "sushi")
	s.give(t, "cook@example.com", sushi.ID, platform.RoleOperate)
	user := s.userNamed(t, "cook@example.com")
	token, _, err := db.CreateAPIToken(t.Context(), s.pool, user.ID, "a program", 0)
	noErr(t, err)
	conn, _, err := cook.watch(db.LiveApp(sushi.ID), db.LiveRail)
	noErr(t, err)
	admins, _, err := admin.watch(db.LiveRail)
	noErr(t, err)
	path := personPath(user.ID)

	admin.get("/settings/people")
	if admin.page.Find("a[href='"+path+"']").Length() != 1 {
		t.Fatal("the list does not lead to the person")
	}
	admin.get(path)
	admin.wantText("cook@example.com")
	if admin.page.Find("a[href='/settings/reset-link?email=cook%40example.com']").Length() != 1 || admin.page.Find("a[href='/apps/sushi#collaborators']").Length() != 1 {
		t.Errorf("the page leads neither to a reset link nor to the app")
	}
	start := time.Now()
	admin.submit(path + "/deactivate")
	admin.want(200, path)
	admin.wantText("cook@example.com is deactivated")
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for err = nil; err == nil; _, _, err = conn.ReadMessage() {
	}
	if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Errorf("the socket ended with %v", err)
	}
	t.Logf("the socket was closed %d ms after the press", time.Since(start).Milliseconds())
	heard := messages(admins)
	noErr(t, db.Notify(t.Context(), s.pool, db.LiveRail))
	awaitMessage(t, heard, "the rail of somebody else", about(db.LiveRail), nil)

	cook.get("/databases")
	cook.want(200, "/sign-in")
	cook.submit("/sign-in", "email", "cook@example.com", "password", testPassword)
	cook.want(403, "/sign-in")
	cook.wantText("This account is deactivated. Ask an administrator")
	cook.submit("/sign-in", "email", "cook@example.com", "password", "not the right password")
	cook.want(422, "/sign-in") // whether an account is deactivated is for who has its password
	if r := s.withToken(t, token, "/apps/sushi"); r != 401 {
		t.Errorf("the token: %d", r)
	}
	if _, _, err := cook.watch(db.LiveRail); err == nil {
		t.Error("a new socket")
	}
	admin.get("/settings/reset-link")
	admin.submit("/settings/reset-link", "email", "cook@example.com")
	admin.want(422, "/settings/reset-link")
	admin.get("/apps/sushi")
	admin.wantText("deactivated")
	dbtest.App(t, s.pool, "ramen")
	admin.get("/apps/ramen")
	admin.submit("/apps/ramen/collaborators", "email", "cook@example.com", "role", "view")
	admin.want(422, "/apps/ramen/collaborators")
	admin.wantText("is deactivated. Ask an administrator")

	admin.get(path)
	admin.submit(path + "/reactivate")
	admin.wantText("may sign in again")
	cook.get("/sign-in")
	cook.submit("/sign-in", "email", "cook@example.com", "password", testPassword)
	cook.want(200, "/databases")
	cook.get("/apps/sushi")
	cook.want(200, "/apps/sushi")
	admin.get(path)
	admin.submit(path + "/end-sessions")
	admin.wantText("1 session ended")
	cook.get("/databases")
	cook.want(200, "/sign-in")
	s.wantAudit(t, "mei@example.com deactivate person cook@example.com done", "mei@example.com reactivate person cook@example.com done",
		"mei@example.com end sessions of a person cook@example.com done 1 session ended.", "cook@example.com sign in  refused This account is deactivated")
}

// withToken is the status of a GET with an API token.
func (s *site) withToken(t *testing.T, token, path string) int {
	t.Helper()
	v := s.visit(t)
	r, err := http.NewRequestWithContext(t.Context(), get, s.url+path, nil)
	noErr(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	v.do(r)
	return v.status
}

func TestAdministratorsAreMadeAndTheLastOneStays(t *testing.T) {
	s := newSite(t, nil)
	admin, cook := s.signedIn(t, firstAdmin), s.signedInAs(t, "cook@example.com", false)
	me, other := personPath(s.userNamed(t, firstAdmin).ID), personPath(s.userNamed(t, "cook@example.com").ID)
	refused := func(path, form, says string) {
		t.Helper()
		admin.get(me)
		admin.post(path, url.Values{"csrf_token": {admin.csrf()}, "on": {form}})
		admin.want(409, path)
		admin.wantText(says)
	}
	refused(me+"/admin", "false", "This is the only administrator who may sign in. Make somebody else an administrator first.")
	refused(me+"/deactivate", "", "You cannot deactivate yourself")
	admin.get(me)
	if admin.page.Find("[data-testid=admin-off], [data-testid=deactivate]").Length() != 0 {
		t.Error("what would be refused is offered")
	}
	admin.get(other)
	admin.submit(other + "/admin")
	admin.wantText("cook@example.com is an administrator now")
	cook.get("/settings/people")
	cook.want(200, "/settings/people")
	cook.get(me)
	cook.submit(me + "/admin")
	cook.wantText(firstAdmin + " is no administrator any more")
	admin.get("/settings/people")
	admin.want(403, "/settings/people")
	s.wantAudit(t, firstAdmin+" set administrator cook@example.com done Made an administrator.", "cook@example.com set administrator "+firstAdmin+" done No administrator any more.")

	// The address that the program made up is changed in the browser, by its
	// person or by an administrator.
	cook.get(me)
	cook.submit(me+"/email", "email", "no address")
	cook.want(422, me+"/email")
	cook.submit(me+"/email", "email", "Mei@Example.com")
	cook.want(200, me)
	cook.wantText("The address is changed")
	admin.get("/settings")
	admin.wantText("mei@example.com")
}

func TestFirstAdministratorIsAskedForAnAddress(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, firstAdmin)
	v.get("/settings/people")
	if v.page.Find("[data-testid=first-address] a[href='/settings#profile']").Length() != 1 {
		t.Fatalf("nothing asks for an address:\n%s", v.text())
	}
	v.get("/settings")
	v.submit("/settings/email", "email", "mei@example.com")
	v.want(200, "/settings")
	v.get("/settings/people")
	if v.page.Find("[data-testid=first-address]").Length() != 0 || !strings.Contains(v.text(), "mei@example.com") {
		t.Errorf("after it was changed:\n%s", v.text())
	}
}
