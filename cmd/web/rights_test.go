package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
)

// estate is an app sushi with what hangs on it, and one person of each kind.
type estate struct {
	*site
	app         platform.App
	database    platform.Database
	attachment  int64
	pooled      int64 // a connection pool
	operation   int64
	notice      int64
	webhook     int64
	maintenance int64
	visits      [visitors]*visit
	token       string // of the operator
}

// The visitors of the table, in its order.
const (
	nobody   = iota // not signed in
	stranger        // signed in, no role on the app
	theViewer
	theOperator
	theManager
	theAdmin
	theToken // an API token of the operator
	visitors
)

var visitorNames = [visitors]string{"nobody", "stranger", "viewer", "operator", "manager", "admin", "token"}

func newEstate(t *testing.T) *estate {
	t.Helper()
	s := newSite(t, nil)
	ctx := t.Context()
	e := &estate{site: s, app: dbtest.App(t, s.pool, "sushi")}
	e.database = dbtest.Database(t, s.pool, e.app.ID, 20901)
	if err := db.SetDatabasePassword(ctx, s.pool, s.sealer, e.database.ID, e.database.Name, "its own"); err != nil {
		t.Fatal(err)
	}
	s.byAddress = newAttemptLimit(time.Second, 1000, 1000) // all of them come from one address
	for i, role := range [visitors]platform.Role{theViewer: platform.RoleView, theOperator: platform.RoleOperate, theManager: platform.RoleManage} {
		if i == nobody || i == theToken {
			continue
		}
		email := visitorNames[i] + "@example.com"
		e.visits[i] = s.signedInAs(t, email, i == theAdmin)
		if role != platform.RoleNone {
			e.give(t, email, e.app.ID, role)
		}
	}
	e.visits[nobody], e.visits[theToken] = s.visit(t), s.visit(t)
	operator := e.userNamed(t, "operator@example.com")
	var err error
	if e.token, _, err = db.CreateAPIToken(ctx, s.pool, operator.ID, "a program", 0); err != nil {
		t.Fatal(err)
	}
	err = db.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		made, err := db.Attach(ctx, tx, db.NewAttachment{AppID: e.app.ID, DatabaseID: e.database.ID, Name: "REPORTING", Actor: "fixture"})
		if err != nil {
			return err
		}
		e.attachment = made.ID
		if made, err = db.Attach(ctx, tx, db.NewAttachment{AppID: e.app.ID, DatabaseID: e.database.ID, Name: platform.PoolAttachment, Actor: "fixture", Pool: &db.NewPool{Port: 20911, Verifier: "v"}}); err != nil {
			return err
		}
		e.pooled = *made.PoolID
		op, err := db.InsertOperation(ctx, tx, db.NewOperation{Kind: platform.FenceDatabase, DatabaseID: e.database.ID, RequestedBy: "fixture", StepNames: []string{"look"}})
		e.operation = op.ID
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if e.notice, err = db.CreateNotice(ctx, s.pool, db.NewNotice{Kind: platform.NoticeFenced, DatabaseID: &e.database.ID, Subject: "Something about it", Body: "A sentence."}); err != nil {
		t.Fatal(err)
	}
	if e.webhook, _, err = db.CreateWebhook(ctx, s.pool, s.sealer, db.NewWebhook{AppID: &e.app.ID, Host: "127.0.0.1:1", URL: "http://127.0.0.1:1/", CreatedBy: "fixture"}); err != nil {
		t.Fatal(err)
	}
	e.maintenance = maintenanceOf(t, s, dbtest.Database(t, s.pool, e.app.ID, 20902), nil).ID
	for _, v := range e.visits {
		v.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return e
}

func (s *site) userNamed(t *testing.T, email string) db.User {
	t.Helper()
	user, err := db.UserByEmail(t.Context(), s.pool, email)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

func (s *site) give(t *testing.T, email string, appID int64, role platform.Role) {
	t.Helper()
	if err := db.SetMember(t.Context(), s.pool, appID, s.userNamed(t, email).ID, role, "fixture"); err != nil {
		t.Fatal(err)
	}
}

// ask sends what the visitor sends: cookies and the form's token, or the API token.
func (e *estate) ask(t *testing.T, who int, method, path string, form url.Values) {
	t.Helper()
	v := e.visits[who]
	values := url.Values{}
	for k, all := range form {
		values[k] = all
	}
	if method == post && who != theToken {
		if who == nobody {
			v.get("/sign-in")
		} else if v.get("/settings"); v.status == http.StatusSeeOther {
			v.get("/sign-in") // a row of the table has ended the session
			v.submit("/sign-in", "email", visitorNames[who]+"@example.com", "password", testPassword)
			v.get("/settings")
		}
		values.Set("csrf_token", v.csrf())
	}
	r, err := http.NewRequestWithContext(t.Context(), method, e.url+path, strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == post {
		r.Header.Set("Content-Type", echo.MIMEApplicationForm)
	}
	if who == theToken {
		r.Header.Set("Authorization", "Bearer "+e.token)
	}
	v.do(r)
}

// path is a route's pattern with the names of the estate in it.
func (e *estate) path(pattern string) string {
	id := "999"
	switch {
	case strings.HasPrefix(pattern, "/operations/"):
		id = fmt.Sprint(e.operation)
	case strings.HasPrefix(pattern, "/maintenances/"):
		id = fmt.Sprint(e.maintenance)
	case strings.HasPrefix(pattern, "/notices/"):
		id = fmt.Sprint(e.notice)
	case strings.HasPrefix(pattern, "/webhooks/"):
		id = fmt.Sprint(e.webhook)
	case strings.Contains(pattern, "/pools/"):
		id = fmt.Sprint(e.pooled)
	case strings.Contains(pattern, "/attachments/"):
		id = fmt.Sprint(e.attachment)
	}
	return strings.NewReplacer(":database", e.database.Name, ":app", e.app.Name, ":pid", "999999", ":id", id, ":delivery", "999", ":token", "no-such-token",
		":name", "LOG_LEVEL", "*", "app.css").Replace(pattern)
}

// right is a row of the table: what each visitor is answered.
type right struct {
	route string // method and pattern
	want  [visitors]int
	form  url.Values
}

// rights is the expected status of every route for every kind of visitor. Where
// a form is sent with nothing in it, who may send it gets 422 for that.
//
//	nobody stranger viewer operator manager admin token
func rights() []right {
	return []right{
		{"GET /", [visitors]int{303, 303, 303, 303, 303, 303, 303}, nil},
		{"GET /sign-in", [visitors]int{200, 303, 303, 303, 303, 303, 303}, nil},
		{"POST /sign-in", [visitors]int{422, 422, 422, 422, 422, 422, 422}, nil},
		{"GET /sign-in/:token", [visitors]int{404, 404, 404, 404, 404, 404, 404}, nil},
		{"POST /sign-in/:token", [visitors]int{404, 404, 404, 404, 404, 404, 404}, nil},

		{"GET /databases", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"GET /databases/new", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"POST /databases", [visitors]int{303, 422, 403, 403, 422, 422, 403}, url.Values{"app": {"sushi"}, "plan": {"standard-0"}, "major": {"7"}}},
		{"GET /databases/:database", [visitors]int{303, 404, 200, 200, 200, 200, 200}, nil},
		{"POST /databases/:database/url", [visitors]int{303, 404, 403, 200, 200, 200, 200}, nil},
		{"GET /databases/:database/followers/new", [visitors]int{303, 404, 403, 200, 200, 200, 200}, nil},
		{"POST /databases/:database/followers", [visitors]int{303, 404, 403, 422, 422, 422, 422}, nil},
		{"GET /databases/:database/change-plan", [visitors]int{303, 404, 403, 200, 200, 200, 200}, nil},
		{"POST /databases/:database/changeover", [visitors]int{303, 404, 403, 422, 422, 422, 422}, nil},
		{"GET /databases/:database/recreate", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
		{"POST /databases/:database/recreate", [visitors]int{303, 404, 403, 403, 422, 422, 403}, nil},
		{"GET /databases/:database/unfollow", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
		{"POST /databases/:database/unfollow", [visitors]int{303, 404, 403, 403, 409, 409, 403}, nil},
		{"GET /databases/:database/promote", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
		{"POST /databases/:database/promote", [visitors]int{303, 404, 403, 403, 422, 422, 403}, url.Values{"app": {"no-such-app"}}},
		{"GET /databases/:database/fence", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
		{"POST /databases/:database/fence", [visitors]int{303, 404, 403, 403, 422, 422, 403}, nil},
		{"GET /databases/:database/unfence", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
		{"POST /databases/:database/unfence", [visitors]int{303, 404, 403, 403, 409, 409, 403}, nil},
		{"GET /databases/:database/separate", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
		{"POST /databases/:database/separate", [visitors]int{303, 404, 403, 403, 409, 409, 403}, nil},
		{"GET /databases/:database/destroy", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
		{"POST /databases/:database/destroy", [visitors]int{303, 404, 403, 403, 422, 422, 403}, nil},
		{"GET /databases/:database/activity", [visitors]int{303, 404, 303, 303, 303, 303, 503}, nil},
		{"POST /databases/:database/activity/:pid/cancel", [visitors]int{303, 404, 403, 503, 503, 503, 503}, nil},
		{"POST /databases/:database/activity/:pid/terminate", [visitors]int{303, 404, 403, 503, 503, 503, 503}, nil},
		{"POST /databases/:database/attachments", [visitors]int{303, 404, 403, 403, 422, 422, 403}, url.Values{"app": {"no-such-app"}}},
		{"POST /databases/:database/attachments/:id/detach", [visitors]int{303, 404, 403, 403, 303, 404, 403}, nil},

		{"GET /apps", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"POST /apps", [visitors]int{303, 422, 422, 422, 422, 422, 422}, nil},
		{"GET /apps/:app", [visitors]int{303, 404, 200, 200, 200, 200, 200}, nil},
		{"GET /apps/:app/config-vars", [visitors]int{303, 404, 403, 303, 303, 303, 200}, nil},
		{"POST /apps/:app/config-vars", [visitors]int{303, 404, 403, 422, 422, 422, 422}, nil},
		{"POST /apps/:app/config-vars/:name/delete", [visitors]int{303, 404, 403, 404, 404, 404, 404}, nil},
		{"POST /apps/:app/config-vars/:name/reveal", [visitors]int{303, 404, 403, 404, 404, 404, 404}, nil},
		{"POST /apps/:app/maintenance", [visitors]int{303, 404, 403, 303, 303, 303, 200}, nil},
		{"POST /apps/:app/formation", [visitors]int{303, 404, 403, 422, 422, 422, 422}, nil},
		{"GET /apps/:app/destroy", [visitors]int{303, 404, 403, 403, 200, 200, 403}, nil},
		{"POST /apps/:app/destroy", [visitors]int{303, 404, 403, 403, 422, 422, 403}, nil},

		{"GET /operations/:id", [visitors]int{303, 404, 200, 200, 200, 200, 200}, nil},
		{"POST /operations/:id/cancel", [visitors]int{303, 404, 403, 303, 303, 303, 202}, nil},
		{"POST /operations/:id/retry", [visitors]int{303, 404, 403, 409, 409, 409, 409}, nil},

		{"GET /audit", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"GET /audit.csv", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"GET /plans", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"GET /search", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},

		{"GET /settings", [visitors]int{303, 200, 200, 200, 200, 200, 200}, nil},
		{"POST /settings/password", [visitors]int{303, 422, 422, 422, 422, 422, 403}, nil},
		{"POST /settings/sessions/end-others", [visitors]int{303, 303, 303, 303, 303, 303, 204}, nil},
		{"POST /settings/sessions/:id/end", [visitors]int{303, 404, 404, 404, 404, 404, 404}, nil},
		{"POST /settings/tokens", [visitors]int{303, 422, 422, 422, 422, 422, 403}, nil},
		{"POST /settings/tokens/:id/revoke", [visitors]int{303, 404, 404, 404, 404, 404, 404}, nil},

		{"GET /live", [visitors]int{303, 400, 400, 400, 400, 400, 403}, nil},
		{"GET /healthz", [visitors]int{200, 200, 200, 200, 200, 200, 200}, nil},
		{"GET /readyz", [visitors]int{503, 503, 503, 503, 503, 503, 503}, nil},
		{"GET /metrics", [visitors]int{303, 401, 401, 401, 401, 401, 200}, nil},
		{"GET /static/*", [visitors]int{404, 404, 404, 404, 404, 404, 404}, nil},

		{"POST /sign-out", [visitors]int{303, 303, 303, 303, 303, 303, 303}, nil},
	}
}

func TestEveryRouteAsksWhoComes(t *testing.T) {
	e := newEstate(t)
	routes := map[string]route{}
	for _, r := range e.routes() {
		routes[r.method+" "+r.path] = r
		named := regexp.MustCompile(`^/(databases|apps|operations|notices|maintenances|webhooks)/.*:`).MatchString(r.path)
		if named != (r.who >= viewer && r.who <= manager) {
			t.Errorf("%s %s: whoever has a role on what the path names, and nobody else, is let in", r.method, r.path)
		}
	}
	seen := map[string]bool{}
	for _, row := range slices.Concat(settingsRights(), noticeRights(), factorRights(), maintenanceRights(), peopleRights(), poolRights(), rights(), lastRights()) {
		r, there := routes[row.route]
		if !there || seen[row.route] {
			t.Errorf("%s is no route, or twice in the table", row.route)
			continue
		}
		seen[row.route] = true
		for who, want := range row.want {
			e.ask(t, who, r.method, e.path(r.path), row.form)
			if got := e.visits[who].status; got != want {
				t.Errorf("%s, %s: %d, want %d\n%s", row.route, visitorNames[who], got, want, e.visits[who].text())
			}
		}
	}
	for name := range routes {
		if !seen[name] {
			t.Errorf("%s has no row in the table of rights: say what each visitor is answered", name)
		}
	}
}

// TestAnothersIsLikeNothing compares the answer about another's thing with the
// one about what does not exist, on every route that names something.
func TestAnothersIsLikeNothing(t *testing.T) {
	e := newEstate(t)
	volatile := regexp.MustCompile(`[0-9.]+ ms|data-now="[^"]*"|data-at="[^"]*"|datetime="[^"]*"|title="[^"]*"`)
	plain := func(who int, real, fake string) string {
		return volatile.ReplaceAllString(strings.ReplaceAll(e.visits[who].body, fake, real), "")
	}
	strangerToken, _, err := db.CreateAPIToken(t.Context(), e.pool, e.userNamed(t, "stranger@example.com").ID, "a program", 0)
	if err != nil {
		t.Fatal(err)
	}
	e.token = strangerToken
	for _, r := range e.routes() {
		if r.who < viewer || r.who > manager {
			continue
		}
		real, fake := e.app.Name, "susha"
		nothing := *e
		nothing.app.Name = fake
		switch {
		case strings.Contains(r.path, ":database"):
			real, fake = e.database.Name, "postgresql-nowhere-00000"
			nothing.database.Name = fake
		case strings.HasPrefix(r.path, "/operations/"):
			real, fake = fmt.Sprint(e.operation), "9999"
			nothing.operation = 9999
		case strings.HasPrefix(r.path, "/maintenances/"):
			real, fake = fmt.Sprint(e.maintenance), "9999"
			nothing.maintenance = 9999
		case strings.HasPrefix(r.path, "/webhooks/"):
			real, fake = fmt.Sprint(e.webhook), "9999"
			nothing.webhook = 9999
		case strings.HasPrefix(r.path, "/notices/"):
			real, fake = fmt.Sprint(e.notice), "9999"
			nothing.notice = 9999
		}
		for _, who := range []int{stranger, theToken} {
			e.ask(t, who, r.method, e.path(r.path), nil)
			another := plain(who, real, real)
			if e.visits[who].status != 404 {
				t.Errorf("%s %s: %d", r.method, r.path, e.visits[who].status)
			}
			e.ask(t, who, r.method, nothing.path(r.path), nil)
			if got := plain(who, real, fake); e.visits[who].status != 404 || got != another {
				at := 0
				for at < min(len(got), len(another)) && got[at] == another[at] {
					at++
				}
				at = max(at-40, 0)
				t.Fatalf("%s %s, %s: what does not exist is answered %d and otherwise, from %q; another's: %q",
					r.method, r.path, visitorNames[who], e.visits[who].status, shortened(got[at:]), shortened(another[at:]))
			}
		}
	}
}

func TestRefusalNamesTheRole(t *testing.T) {
	e := newEstate(t)
	for _, c := range []struct {
		who    int
		path   string
		says   string
		header string
	}{
		{theViewer, "/apps/sushi/maintenance", "This needs the role operate on sushi; you have the role view there. manager@example.com or an administrator can give it.", ""},
		{theOperator, "/databases/" + e.database.Name + "/fence", "This needs the role manage on sushi; you have the role operate there.", ""},
	} {
		e.ask(t, c.who, post, c.path, nil)
		e.visits[c.who].wantText(c.says)
	}
	// Both stand in the audit, the stranger's look at another's app too.
	e.ask(t, stranger, get, "/apps/sushi", nil)
	entries, err := db.ListAudit(context.Background(), e.pool, "", platform.Everything(), db.AuditFilter{Outcome: db.AuditRefused})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Actor+" "+entry.Action+" "+entry.Subject)
	}
	want := "stranger@example.com open sushi|operator@example.com fence " + e.database.Name + "|viewer@example.com set maintenance mode sushi"
	if strings.Join(got, "|") != want {
		t.Errorf("audit:\n%s\nwant\n%s", strings.Join(got, "|"), want)
	}
}
