package main

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
)

// invites adds an address on the app's page and returns the path of the link that is shown.
func (v *visit) invites(s *site, app, email, role string) string {
	v.t.Helper()
	v.get("/apps/" + app)
	v.submit("/apps/"+app+"/collaborators", "email", email, "role", role)
	v.want(200, "/apps/"+app+"/collaborators")
	link := v.page.Find("[data-testid=invitation-link]").Text()
	if !strings.HasPrefix(link, s.cfg.URL.String()+invitationPath) {
		v.t.Fatalf("the link is %q\n%s", link, v.text())
	}
	return strings.TrimPrefix(link, s.cfg.URL.String())
}

func TestInvitedPersonComesIn(t *testing.T) {
	s := newSite(t, nil)
	chef := s.signedInAs(t, "chef@example.com", false)
	chef.get("/apps")
	chef.submit("/apps", "name", "sushi")
	dbtest.App(t, s.pool, "ramen")

	for field, value := range map[string]string{"email": "no address", "role": "cook"} {
		form := map[string]string{"email": "waiter@example.com", "role": "view"}
		form[field] = value
		chef.get("/apps/sushi")
		chef.submit("/apps/sushi/collaborators", "email", form["email"], "role", form["role"])
		chef.want(422, "/apps/sushi/collaborators")
		if chef.page.Find("[data-testid=error-"+field+"]").Length() == 0 || chef.page.Find("input[name=email]").AttrOr("value", "") != form["email"] {
			t.Errorf("%s %q: no sentence at the field, or what was typed is lost\n%s", field, value, chef.text())
		}
	}
	path := chef.invites(s, "sushi", " Waiter@Example.com", "operate")
	chef.get("/apps/sushi")
	if strings.Contains(chef.body, path) || chef.page.Find("[data-testid='invitation-waiter@example.com']").Length() != 1 {
		t.Errorf("the link is shown again, or the invitation is not:\n%s", chef.text())
	}

	// Looking uses nothing up; a password by the rules, and in.
	v := s.visit(t)
	v.get(path)
	v.get(path)
	v.want(200, path)
	v.wantText("chef@example.com invites waiter@example.com to the app sushi with the role operate")
	v.submit(path, "person_name", "Wim", "password", "short", "password_again", "short")
	v.want(422, path)
	if v.page.Find("[data-testid=error-password]").Length() == 0 || v.page.Find("input[name=person_name]").AttrOr("value", "") != "Wim" {
		t.Errorf("no sentence at the password, or the name is lost:\n%s", v.text())
	}
	v.submit(path, "person_name", " Wim  de Ober ", "password", secondPassword, "password_again", secondPassword)
	v.want(200, "/apps/sushi")
	if waiter := s.userNamed(t, "waiter@example.com"); waiter.Name != "Wim de Ober" || waiter.IsAdmin {
		t.Errorf("made %+v", waiter)
	}
	v.get("/apps/ramen")
	v.want(404, "/apps/ramen")
	v.get("/settings/people")
	v.want(403, "/settings/people")
	if v.get("/apps/sushi"); v.page.Find("[data-testid=collaborator-form], [data-testid=invitations], [data-testid^=change-role]").Length() != 0 || v.page.Find("[data-testid=maintenance-on]").Length() != 1 {
		t.Error("an operator gets what only a manager may, or lacks what an operator may")
	}

	// Used up for everybody.
	again := s.visit(t)
	again.get(path)
	again.want(404, path)
	again.wantText("This invitation does not work")
	s.wantSecretNowhere(t, map[string]string{"the link": strings.TrimPrefix(path, invitationPath), "the password": secondPassword})
	s.wantAudit(t, "waiter@example.com accept invitation sushi waiter@example.com done Role operate, invited by chef@example.com.",
		"chef@example.com add collaborator sushi waiter@example.com done Invited, with the role operate.")
}

// wantAudit finds rows of the audit: actor, action, subject, outcome, detail.
func (s *site) wantAudit(t *testing.T, rows ...string) {
	t.Helper()
	entries, err := db.ListAudit(t.Context(), s.pool, "", platform.Everything(), db.AuditFilter{Limit: 500})
	noErr(t, err)
	all := ""
	for _, e := range entries {
		all += strings.Join([]string{e.Actor, e.Action, e.Subject, e.Outcome, e.Detail}, " ") + "\n"
	}
	for _, row := range rows {
		if !strings.Contains(all, row) {
			t.Errorf("the audit lacks %q:\n%s", row, all)
		}
	}
}

func TestInvitationOfSomebodyWhoIsHere(t *testing.T) {
	s := newSite(t, nil)
	chef := s.signedInAs(t, "chef@example.com", false)
	chef.get("/apps")
	chef.submit("/apps", "name", "sushi")
	path := chef.invites(s, "sushi", "waiter@example.com", "view")
	waiter := s.signedInAs(t, "waiter@example.com", false) // came by another way meanwhile

	v := s.visit(t)
	v.get(path)
	v.wantText("waiter@example.com has an account here")
	if v.page.Find("a[href='/sign-in?next="+path+"']").Length() != 1 || v.page.Find("input[name=password]").Length() != 0 {
		t.Errorf("it does not lead to signing in:\n%s", v.text())
	}
	v.get("/sign-in")
	v.post(path, url.Values{"csrf_token": {v.csrf()}, "password": {secondPassword}, "password_again": {secondPassword}})
	v.want(403, path)
	other := s.signedInAs(t, "other@example.com", false)
	other.get(path)
	other.wantText("You are signed in as other@example.com. Sign out")
	other.post(path, url.Values{"csrf_token": {other.csrf()}})
	other.want(403, path)
	other.wantText("This invitation is for waiter@example.com")

	waiter.get(path)
	waiter.submit(path)
	waiter.want(200, "/apps/sushi")
	waiter.get(path)
	waiter.want(404, path)
	for _, end := range []string{"revoked", "expired"} {
		path = chef.invites(s, "sushi", "late@example.com", "view")
		if end == "revoked" {
			chef.get("/apps/sushi")
			chef.submit(chef.page.Find("[data-testid='revoke-late@example.com']").AttrOr("formaction", ""))
			chef.wantText("The invitation of late@example.com is revoked")
		} else if _, err := s.pool.Exec(t.Context(), `update invitations set expires_at = expires_at - interval '7 days'`); err != nil {
			t.Fatal(err)
		}
		v.get(path)
		if v.status != 404 {
			t.Errorf("%s: %d", end, v.status)
		}
	}
}

var invitationInMail = regexp.MustCompile(`http://\S+/invitations/\S+`)

func TestInvitationIsMailed(t *testing.T) {
	s, server := mailSite(t, nil)
	s.setMail(t, server)
	admin := s.signedIn(t, "mei@example.com")
	invite := func(email, as string) string {
		t.Helper()
		admin.get("/settings/people")
		admin.submit("/settings/people", "email", email, "admin", as)
		admin.want(200, "/settings/people")
		return strings.TrimPrefix(admin.page.Find("[data-testid=invitation-link]").Text(), s.cfg.URL.String())
	}
	shown := invite("new@example.com", "yes")
	m := server.Next(t)
	path := strings.TrimPrefix(invitationInMail.FindString(m.Body), s.cfg.URL.String())
	if m.To != "new@example.com" || path == "" || path != shown || !strings.Contains(m.Body, "mei@example.com invites you to Changeover, as an administrator") {
		t.Fatalf("arrived %+v, shown %s", m, shown)
	}
	v := s.visit(t)
	v.get(path)
	v.submit(path, "password", secondPassword, "password_again", secondPassword)
	v.want(200, "/databases")
	v.get("/settings/people")
	v.want(200, "/settings/people")
	admin.get("/settings/people")
	admin.submit("/settings/people", "email", "new@example.com")
	admin.want(422, "/settings/people")
	admin.wantText("has an account already")

	// Somebody who is here hears that they have a role.
	dbtest.App(t, s.pool, "sushi")
	admin.get("/apps/sushi")
	admin.submit("/apps/sushi/collaborators", "email", "new@example.com", "role", "manage")
	admin.want(200, "/apps/sushi")
	if m := server.Next(t); m.To != "new@example.com" || !strings.Contains(m.Body, "gave you the role manage on the app sushi") {
		t.Errorf("arrived %+v", m)
	}
}

func TestInvitationsAreLimited(t *testing.T) {
	s := newSite(t, nil)
	s.byInviter = newAttemptLimit(time.Minute, 2, 100)
	admin := s.signedIn(t, "mei@example.com")
	for i, want := range []int{200, 200, 429} {
		admin.get("/settings/people")
		admin.submit("/settings/people", "email", string(rune('a'+i))+"@example.com")
		admin.want(want, "/settings/people")
	}
	admin.wantText("There were too many invitations. Try again in 60 seconds")
	// Looking for links that work is limited as signing in is.
	s.byAddress = newAttemptLimit(time.Minute, 1, 100)
	v := s.visit(t)
	for _, want := range []int{404, 429} {
		v.get("/sign-in")
		v.post("/invitations/guess", url.Values{"csrf_token": {v.csrf()}})
		if v.status != want {
			t.Errorf("%d, want %d", v.status, want)
		}
	}
	s.wantAudit(t, "nobody accept invitation  refused There were too many attempts")
}

func TestInvitationsAreMadeInTheBrowser(t *testing.T) {
	e := newEstate(t)
	var err error
	if e.token, _, err = db.CreateAPIToken(t.Context(), e.pool, e.userNamed(t, "admin@example.com").ID, "a program", 0); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/apps/sushi/collaborators": 403, "/settings/people": 403} {
		if e.ask(t, theToken, post, path, url.Values{"email": {"new@example.com"}, "role": {"view"}}); e.visits[theToken].status != want {
			t.Errorf("%s: %d, want %d", path, e.visits[theToken].status, want)
		}
	}
	if e.ask(t, theToken, post, "/apps/sushi/collaborators", url.Values{"email": {"stranger@example.com"}, "role": {"view"}}); e.visits[theToken].status != 204 {
		t.Errorf("somebody who is here: %d %s", e.visits[theToken].status, e.visits[theToken].body)
	}
	if e.ask(t, theToken, get, "/settings/people", nil); !strings.Contains(e.visits[theToken].body, `"roles":{"sushi":"view"}`) {
		t.Errorf("everybody: %s", e.visits[theToken].body)
	}
}
