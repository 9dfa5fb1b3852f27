package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/jobs"
	"changeover/internal/platform"

	"github.com/labstack/echo/v4"
)

func (s *site) write(t *testing.T, n db.NewNotice) int64 {
	t.Helper()
	if n.Subject == "" {
		n.Subject = "Something happened"
	}
	if n.Body == "" {
		n.Body = "It did."
	}
	id, err := db.CreateNotice(t.Context(), s.pool, n)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// mailStates are the mails about a notice: by address how each stands.
func (s *site) mailStates(t *testing.T, notice int64) map[string]string {
	t.Helper()
	rows, err := s.pool.Query(t.Context(), `select recipient, state from mails where notice_id = $1`, notice)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	states := map[string]string{}
	for rows.Next() {
		var to, state string
		if err := rows.Scan(&to, &state); err != nil {
			t.Fatal(err)
		}
		states[to] = state
	}
	return states
}

func (s *site) awaitTold(t *testing.T, notice int64) {
	t.Helper()
	await(t, 20*time.Second, "the notice is told of", func() bool {
		var told bool
		if err := s.pool.QueryRow(t.Context(), `select told_at is not null from notices where id = $1`, notice).Scan(&told); err != nil {
			t.Fatal(err)
		}
		return told
	})
}

// awaitRefused waits until the mail server has refused all of the notice's mails
// once, so that none of them is on its way just now.
func (s *site) awaitRefused(t *testing.T, notice int64, mails int) {
	t.Helper()
	await(t, 30*time.Second, "every mail was refused for now", func() bool {
		var refused int
		if err := s.pool.QueryRow(t.Context(), `select count(*) from mails where notice_id = $1 and state = 'waiting' and last_error like '%451%'`, notice).Scan(&refused); err != nil {
			t.Fatal(err)
		}
		return refused == mails
	})
}

// Who wants a notice mailed and may see it gets one mail of it; nobody else.
func TestNoticesAreMailed(t *testing.T) {
	s, server := mailSite(t, map[string]string{"CHANGEOVER_URL": "https://databases.example.com"})
	s.setMail(t, server)
	ctx := t.Context()
	sushi, ramen := dbtest.App(t, s.pool, "sushi"), dbtest.App(t, s.pool, "ramen")
	for email, role := range map[string]platform.Role{"manager@example.com": platform.RoleManage, "operator@example.com": platform.RoleOperate, "viewer@example.com": platform.RoleView} {
		dbtest.User(t, s.pool, email)
		s.give(t, email, sushi.ID, role)
	}
	elsewhere := dbtest.User(t, s.pool, "elsewhere@example.com")
	s.give(t, elsewhere.Email, ramen.ID, platform.RoleManage)
	operator, manager := s.userNamed(t, "operator@example.com"), s.userNamed(t, "manager@example.com")
	choose := func(user db.User, c platform.MailChoices) {
		t.Helper()
		if err := db.SetMailChoices(ctx, s.pool, user.ID, c); err != nil {
			t.Fatal(err)
		}
	}
	all := platform.MailChoices{View: platform.MailAll, Operate: platform.MailAll, Manage: platform.MailAll, Admin: platform.MailAll}
	choose(operator, all)
	if err := db.SetUserName(ctx, s.pool, manager.ID, "Mei"); err != nil {
		t.Fatal(err)
	}

	// To know: only who wants all.
	ok := s.write(t, db.NewNotice{Kind: platform.NoticeMaintenanceDone, AppID: &sushi.ID, Subject: "Completed: upgrade", Body: "It is done.\n\nWhat to do. Nothing.",
		Figures: []platform.Figure{{Label: "Writes refused", Value: "138", Unit: "ms"}}})
	m := server.Next(t)
	if m.To != operator.Email || m.Header.Get("Subject") != "[sushi] Completed: upgrade" {
		t.Errorf("arrived %+v", m)
	}
	for _, part := range []string{"Writes refused: 138 ms", "What it means. The app writes again.", "What to do. Nothing.", "https://databases.example.com/notices/", "Stop these mails: https://databases.example.com/unsubscribe/"} {
		if !strings.Contains(m.Body, part) {
			t.Errorf("the mail lacks %q:\n%s", part, m.Body)
		}
	}
	stop := strings.Trim(m.Header.Get("List-Unsubscribe"), "<>")
	if !strings.HasPrefix(stop, "https://databases.example.com/unsubscribe/") || m.Header.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
		t.Errorf("headers %v", m.Header)
	}
	// Needs a person: who manages, too, and it says so to the person by name.
	warn := s.write(t, db.NewNotice{Kind: platform.NoticeFenced, AppID: &sushi.ID})
	got := map[string]string{}
	for range 2 {
		m := server.Next(t)
		got[m.To] = m.Body
	}
	if !strings.HasPrefix(got[manager.Email], "Hello Mei,") || got[operator.Email] == "" {
		t.Errorf("arrived %v", got)
	}
	await(t, 20*time.Second, "both are recorded", func() bool {
		states := s.mailStates(t, warn)
		return len(states) == 2 && states[manager.Email] == "sent" && states[operator.Email] == "sent"
	})
	if states := s.mailStates(t, ok); len(states) != 1 {
		t.Errorf("mails about what is to know: %v", states)
	}
	// A personal one is mailed by whoever writes it; one to nobody's app goes to
	// administrators, of whom there is none.
	for _, n := range []db.NewNotice{{Kind: platform.NoticeNewPlace, UserID: &operator.ID}, {Kind: platform.NoticeFenced}} {
		id := s.write(t, n)
		s.awaitTold(t, id)
		if states := s.mailStates(t, id); len(states) != 0 {
			t.Errorf("mails about %s: %v", n.Kind, states)
		}
	}

	// Rights count when it is sent: the role is taken away while the mail waits.
	server.Refuse(451)
	late := s.write(t, db.NewNotice{Kind: platform.NoticeFenced, AppID: &sushi.ID})
	s.awaitRefused(t, late, 2)
	if _, err := s.pool.Exec(ctx, `delete from app_members where user_id = $1`, operator.ID); err != nil {
		t.Fatal(err)
	}
	server.Refuse(0)
	if m := server.Next(t); m.To != manager.Email {
		t.Errorf("arrived at %s", m.To)
	}
	await(t, 30*time.Second, "the other is dropped", func() bool { return s.mailStates(t, late)[operator.Email] == "dropped" })

	// Nobody who is deactivated gets one, not even one that waits already.
	server.Refuse(451)
	waiting := s.write(t, db.NewNotice{Kind: platform.NoticeFenced, AppID: &sushi.ID})
	s.awaitRefused(t, waiting, 1)
	if _, err := s.pool.Exec(ctx, `update users set deactivated_at = now() where id = $1`, manager.ID); err != nil {
		t.Fatal(err)
	}
	server.Refuse(0)
	await(t, 30*time.Second, "it is dropped", func() bool { return s.mailStates(t, waiting)[manager.Email] == "dropped" })
	none := s.write(t, db.NewNotice{Kind: platform.NoticeFenced, AppID: &sushi.ID})
	s.awaitTold(t, none)
	if states := s.mailStates(t, none); len(states) != 0 {
		t.Errorf("mails to a deactivated person: %v", states)
	}

	// The link works signed out, with one click of a mail program, and for no more.
	path := strings.TrimPrefix(stop, "https://databases.example.com")
	v := s.visit(t)
	v.get(path)
	v.want(200, path)
	v.wantText("to operator@example.com")
	r, err := http.NewRequestWithContext(ctx, post, s.url+path, strings.NewReader(url.Values{"List-Unsubscribe": {"One-Click"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", echo.MIMEApplicationForm)
	v.do(r)
	v.want(200, path)
	v.wantText("No notice is mailed to this address any more.")
	if choices, err := db.MailChoicesOf(ctx, s.pool, operator.ID); err != nil || choices != noMails() {
		t.Errorf("choices %+v, %v", choices, err)
	}
	v.get("/databases")
	v.want(200, "/sign-in")
	if strings.Contains(s.logs.String(), strings.TrimPrefix(path, jobs.UnsubscribePath)) {
		t.Error("the log has the link's token")
	}
}

func TestWhatIsMailedIsChosen(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedInAs(t, "cook@example.com", false)
	v.get("/settings/notices")
	v.want(200, "/settings/notices")
	v.wantText("No mail server is set")
	v.submit("/settings/notices", "manage", "all", "operate", "none", "view", "needs")
	v.want(200, "/settings/notices")
	want := platform.MailChoices{View: platform.MailNeeds, Operate: platform.MailNone, Manage: platform.MailAll, Admin: platform.MailNeeds}
	if got, err := db.MailChoicesOf(t.Context(), s.pool, s.userNamed(t, "cook@example.com").ID); err != nil || got != want {
		t.Errorf("kept %+v, %v", got, err)
	}
	v.submit("/settings/notices", "manage", "sometimes")
	v.want(422, "/settings/notices")
	v.wantText("Choose which notices are mailed")
}

func TestUnsubscribeTokens(t *testing.T) {
	s := newSite(t, nil)
	token := jobs.UnsubscribeToken(s.sealer, 7)
	if id, err := jobs.UnsubscribeUser(s.sealer, token); err != nil || id != 7 {
		t.Errorf("%d, %v", id, err)
	}
	// What is sealed for something else, or changed, stops nobody's mails.
	for _, bad := range []string{"", "x", token[:20], token[:len(token)-1] + "_", "AAAA" + token[4:]} {
		if bad == token {
			continue
		}
		if id, err := jobs.UnsubscribeUser(s.sealer, bad); platform.KindOf(err) != platform.KindNotFound {
			t.Errorf("%q is user %d, %v", bad, id, err)
		}
	}
}

// A notice that was kept long enough is gone after the program's start, with
// what hangs on it.
func TestOldNoticesAreSwept(t *testing.T) {
	s := newSite(t, map[string]string{"CHANGEOVER_NOTICE_DAYS": "30"})
	user := dbtest.User(t, s.pool, "mei@example.com")
	old, kept := s.write(t, db.NewNotice{Kind: platform.NoticeFenced}), s.write(t, db.NewNotice{Kind: platform.NoticeFenced})
	if err := db.SetNoticeRead(t.Context(), s.pool, user.ID, old, true); err != nil {
		t.Fatal(err)
	}
	for id, days := range map[int64]int{old: 31, kept: 29} {
		if _, err := s.pool.Exec(t.Context(), `update notices set at = now() - make_interval(days => $2) where id = $1`, id, days); err != nil {
			t.Fatal(err)
		}
	}
	s.startJobs(t)
	await(t, 30*time.Second, "the old one is gone", func() bool {
		var left []int64
		if err := s.pool.QueryRow(t.Context(), `select array_agg(id) from notices`).Scan(&left); err != nil {
			t.Fatal(err)
		}
		return len(left) == 1 && left[0] == kept
	})
}
