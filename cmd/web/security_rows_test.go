package main

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"

	"github.com/PuerkitoBio/goquery"
)

// Tests of rows of docs/security.md that no other test shows.

// Everybody sees where they are signed in, and ends what is theirs and nothing else.
func TestSessionsAreListedAndEnded(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	stranger := s.signedInAs(t, "jun@example.com", false)
	phone := s.visit(t)
	phone.get("/sign-in")
	phone.submit("/sign-in", "email", "mei@example.com", "password", testPassword)
	v.get("/settings")
	var ends []string
	v.page.Find(`button[formaction^="/settings/sessions/"][formaction$="/end"]`).Each(func(_ int, button *goquery.Selection) {
		ends = append(ends, button.AttrOr("formaction", ""))
	})
	if len(ends) != 1 { // the browser in which one looks is ended by signing out
		t.Fatalf("the sessions that can be ended: %q", ends)
	}
	stranger.get("/settings")
	if strings.Contains(stranger.body, path.Base(path.Dir(ends[0]))) {
		t.Error("another person's session is shown")
	}
	stranger.post(ends[0], url.Values{"csrf_token": {stranger.csrf()}})
	if phone.get("/databases"); stranger.status != 404 || phone.path != "/databases" {
		t.Errorf("another person's session: %d, and then it is at %s", stranger.status, phone.path)
	}
	v.submit(ends[0])
	v.want(200, "/settings")
	phone.get("/databases")
	phone.want(200, "/sign-in")
	v.get("/databases")
	v.want(200, "/databases")
}

func TestStyleguideIsForDevelopment(t *testing.T) {
	for development, want := range map[string]int{"": 404, "1": 200} {
		s := newSite(t, map[string]string{"CHANGEOVER_DEVELOPMENT": development})
		v := s.signedIn(t, "mei@example.com")
		if v.get("/styleguide"); v.status != want {
			t.Errorf("with CHANGEOVER_DEVELOPMENT=%q: %d, want %d", development, v.status, want)
		}
	}
}

// A password is masked, and a password manager knows which one it is.
func TestPasswordFieldsAreKnownToManagers(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	s.signedInAs(t, "jun@example.com", false)
	link, err := db.CreateResetLink(t.Context(), s.pool, s.userNamed(t, "jun@example.com").ID, linkLife, "")
	if err != nil {
		t.Fatal(err)
	}
	nobody := s.visit(t)
	nobody.get("/sign-in")
	signIn := nobody.page
	nobody.get("/sign-in/" + link)
	reset := nobody.page
	v.get("/settings")
	settings := v.page
	v.get("/settings/mail")
	mail := v.page
	dbtest.App(t, s.pool, "sushi")
	v.get("/apps/sushi/destroy")
	s.age(t)
	v.submit("/apps/sushi/destroy", "confirm", "sushi")
	for at, c := range map[string]struct {
		page *goquery.Document
		want string
	}{
		"sign in": {signIn, "password current-password"}, "reset": {reset, "password new-password, password_again new-password"},
		"settings": {settings, "current current-password, password new-password, password_again new-password"},
		"mail":     {mail, "smtp_password off"}, "proof": {v.page, "proof_password current-password"},
	} {
		var got []string
		c.page.Find(`input[name*="password"], input[name="current"], input[type="password"]`).Each(func(_ int, field *goquery.Selection) {
			got = append(got, field.AttrOr("name", "")+" "+field.AttrOr("autocomplete", "no word"))
			if kind := field.AttrOr("type", "text"); kind != "password" || field.AttrOr("maxlength", "") != "" || field.AttrOr("value", "") != "" {
				t.Errorf("%s: %s is of the type %s, or is cut, or is filled in", at, field.AttrOr("name", ""), kind)
			}
		})
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %q, want %q", at, strings.Join(got, ", "), c.want)
		}
	}
}

// A token's metrics are of what its person sees; those of the process are for
// administrators.
func TestMetricsAreOfWhatOneSees(t *testing.T) {
	e := newEstate(t)
	other := dbtest.Database(t, e.pool, dbtest.App(t, e.pool, "ramen").ID, 20950)
	adminToken, _, err := db.CreateAPIToken(t.Context(), e.pool, e.userNamed(t, "admin@example.com").ID, "prometheus", 0)
	if err != nil {
		t.Fatal(err)
	}
	for token, all := range map[string]bool{e.token: false, adminToken: true} {
		status, body := apiRequest(t, e.site, get, "/metrics", token, "")
		if status != 200 || !strings.Contains(body, e.database.Name) {
			t.Errorf("%d\n%s", status, body)
		}
		if got := strings.Contains(body, other.Name); got != all {
			t.Errorf("another app's database is in it: %t, want %t", got, all)
		}
		if got := strings.Contains(body, "changeover_goroutines"); got != all {
			t.Errorf("the process is in it: %t, want %t", got, all)
		}
	}
}
