package db_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
)

func TestNotices(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	chef, waiter := dbtest.User(t, pool, "chef@example.com"), dbtest.User(t, pool, "waiter@example.com")
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	heard := listen(t, pool)
	first := must(db.CreateNotice(ctx, pool, db.NewNotice{Kind: platform.NoticeFollowerReady, DatabaseID: &d.ID, AppID: &app.ID, Subject: "It is ready", Body: "Use it."}))(t)
	if a, b := <-heard, <-heard; a != db.LiveNotice(first) || b != db.LiveRail {
		t.Errorf("heard %s, %s", a, b)
	}
	second := must(db.CreateNotice(ctx, pool, db.NewNotice{Kind: platform.NoticeMaintenanceMoved, Subject: "Hint", Body: "Do something."}))(t)

	n := must(db.NoticeByID(ctx, pool, chef.ID, platform.Everything(), first))(t)
	if n.DatabaseName != d.Name || n.AppName != "sushi" || n.Level != "ok" || n.Read || n.Subject != "It is ready" || n.Body != "Use it." {
		t.Errorf("notice %+v", n)
	}
	for _, c := range []struct {
		f    db.NoticeFilter
		want []int64
	}{
		{db.NoticeFilter{}, []int64{second, first}},
		{db.NoticeFilter{DatabaseID: d.ID}, []int64{first}},
		{db.NoticeFilter{AppID: app.ID}, []int64{first}},
		{db.NoticeFilter{OperationID: 7}, nil},
		{db.NoticeFilter{Level: "info"}, []int64{second}},
		{db.NoticeFilter{BeforeID: second}, []int64{first}},
		{db.NoticeFilter{Limit: 1}, []int64{second}},
	} {
		var got []int64
		for _, n := range must(db.ListNotices(ctx, pool, chef.ID, platform.Everything(), c.f))(t) {
			got = append(got, n.ID)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%+v gives %v, want %v", c.f, got, c.want)
		}
	}
	unread := func(u db.User) int { return must(db.UnreadNotices(ctx, pool, u.ID, platform.Everything()))(t) }
	for range 2 {
		noError(t, db.SetNoticeRead(ctx, pool, chef.ID, first, true))
	}
	if unread(chef) != 1 || unread(waiter) != 2 || !must(db.NoticeByID(ctx, pool, chef.ID, platform.Everything(), first))(t).Read {
		t.Errorf("unread: chef %d, waiter %d", unread(chef), unread(waiter))
	}
	if list := must(db.ListNotices(ctx, pool, chef.ID, platform.Everything(), db.NoticeFilter{UnreadOnly: true}))(t); len(list) != 1 || list[0].ID != second {
		t.Errorf("unread %+v", list)
	}
	noError(t, db.SetNoticeRead(ctx, pool, chef.ID, first, false))
	if unread(chef) != 2 {
		t.Errorf("unread again: %d", unread(chef))
	}
	for range 2 {
		noError(t, db.MarkNoticesRead(ctx, pool, chef.ID, platform.Everything(), db.NoticeFilter{}))
	}
	if unread(chef) != 0 || unread(waiter) != 2 {
		t.Errorf("all read: chef %d, waiter %d", unread(chef), unread(waiter))
	}
	wantSentence(t, db.SetNoticeRead(ctx, pool, chef.ID, 99, true), platform.KindNotFound, "", "no such notice")
	_, err := db.NoticeByID(ctx, pool, chef.ID, platform.Everything(), 99)
	wantSentence(t, err, platform.KindNotFound, "", "no such notice")
}

// What is marked is what the filter keeps, and what had come by then.
func TestMarkNoticesOfAFilter(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	chef := dbtest.User(t, pool, "chef@example.com")
	app, other := dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "ramen")
	d := dbtest.Database(t, pool, app.ID, 20000)
	write := func(n db.NewNotice) int64 {
		n.Subject, n.Body = "s", "b"
		return must(db.CreateNotice(ctx, pool, n))(t)
	}
	write(db.NewNotice{Kind: platform.NoticeStorageNear, DatabaseID: &d.ID})
	write(db.NewNotice{Kind: platform.NoticeStorageNear, AppID: &other.ID})
	last := write(db.NewNotice{Kind: platform.NoticeFenced, DatabaseID: &d.ID, AppID: &app.ID})
	counts := func(f db.NoticeFilter) db.NoticeCounts {
		return must(db.CountNotices(ctx, pool, chef.ID, platform.Everything(), f, last))(t)
	}
	if got := counts(db.NoticeFilter{AppID: app.ID}); got.Total != 2 || got.Unread != 2 || got.Newer != 0 {
		t.Errorf("of sushi: %+v", got)
	}
	heard := listen(t, pool)
	noError(t, db.MarkNoticesRead(ctx, pool, chef.ID, platform.Everything(), db.NoticeFilter{Kind: platform.NoticeStorageNear, AppID: app.ID}))
	if payload := <-heard; payload != db.LiveReads(chef.ID) {
		t.Errorf("heard %s", payload)
	}
	if got := counts(db.NoticeFilter{}); got.Total != 3 || got.Unread != 2 {
		t.Errorf("after marking sushi's storage: %+v", got)
	}
	late := write(db.NewNotice{Kind: platform.NoticeFenced, DatabaseID: &d.ID})
	noError(t, db.MarkNoticesRead(ctx, pool, chef.ID, platform.Everything(), db.NoticeFilter{UpToID: last}))
	if left := must(db.ListNotices(ctx, pool, chef.ID, platform.Everything(), db.NoticeFilter{UnreadOnly: true}))(t); len(left) != 1 || left[0].ID != late {
		t.Errorf("left unread: %+v", left)
	}
	if n := must(db.DeleteOldNotices(ctx, pool, time.Now().Add(time.Hour), 3))(t); n != 3 {
		t.Errorf("%d were forgotten, want 3", n)
	}
	choices := must(db.NoticeChoicesOf(ctx, pool, platform.Everything()))(t)
	if len(choices.Databases) != 1 || choices.Databases[0] != d.Name {
		t.Errorf("choices %+v", choices)
	}
}

// A step may run twice and gives one notice; a retry of the operation is a run
// of its own and gives another.
func TestNoticeOfAStepThatRunsTwice(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	op := operation(t, pool, platform.Unfollow, d.ID)
	begin := func() { must(db.BeginAttempt(ctx, pool, op))(t) }
	write := func(kind platform.NoticeKind) int64 {
		return must(db.CreateNotice(ctx, pool, db.NewNotice{Kind: kind, DatabaseID: &d.ID, OperationID: &op, Subject: "s", Body: "b"}))(t)
	}
	begin()
	a, b, c := write(platform.NoticeUnfollowFailed), write(platform.NoticeUnfollowFailed), write(platform.NoticeUnfollowed)
	if a != b || a == c {
		t.Errorf("notices %d, %d, %d", a, b, c)
	}
	begin() // another runner, the same run
	if again := write(platform.NoticeUnfollowFailed); again != a {
		t.Errorf("the second runner wrote %d", again)
	}
	_, err := pool.Exec(ctx, `update operations set started_at = null where id = $1`, op) // as a retry does
	noError(t, err)
	begin()
	if again := write(platform.NoticeUnfollowFailed); again == a {
		t.Error("the retry's notice was swallowed")
	}
}

func TestAudit(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	for i := range 5 {
		noError(t, db.AddAudit(ctx, pool, db.AuditEntry{
			Actor: "chef", Action: "POST /apps", Subject: fmt.Sprintf("app-%d", i), Outcome: db.AuditDone, IP: "127.0.0.1",
		}))
	}
	noError(t, db.AddAudit(ctx, pool, db.AuditEntry{Actor: "waiter", Action: "POST /sign-in", Outcome: db.AuditRefused, Detail: "100% wrong"}))
	for _, c := range []struct {
		f    db.AuditFilter
		want int
	}{
		{db.AuditFilter{}, 6}, {db.AuditFilter{Actor: "chef"}, 5}, {db.AuditFilter{Outcome: db.AuditRefused}, 1},
		{db.AuditFilter{Subject: "app-3"}, 1}, {db.AuditFilter{Text: "SIGN"}, 1}, {db.AuditFilter{Text: "100%"}, 1},
		{db.AuditFilter{Text: "%"}, 1}, {db.AuditFilter{Limit: 4}, 4},
	} {
		if got := must(db.ListAudit(ctx, pool, "", platform.Everything(), c.f))(t); len(got) != c.want {
			t.Errorf("%+v gives %d, want %d", c.f, len(got), c.want)
		}
	}
	noError(t, db.AddAudit(ctx, pool, db.AuditEntry{Actor: "cook", Action: "fence", Subject: "sushi", Outcome: db.AuditDone, AppIDs: []int64{7, 8}}))
	sees := func(apps ...int64) platform.Access {
		access := platform.Access{Apps: map[int64]platform.Role{}}
		for _, id := range apps {
			access.Apps[id] = platform.RoleView
		}
		return access
	}
	for _, c := range []struct {
		reader string
		access platform.Access
		want   int
	}{
		{"", platform.Access{}, 0}, {"waiter", platform.Access{}, 1}, {"waiter", sees(8), 2}, {"waiter", sees(9), 1}, {"cook", sees(7), 1},
	} {
		if got := must(db.ListAudit(ctx, pool, c.reader, c.access, db.AuditFilter{}))(t); len(got) != c.want {
			t.Errorf("%s with %+v sees %d, want %d", c.reader, c.access, len(got), c.want)
		}
	}
	for _, attempt := range []string{"update audit set actor = 'nobody'", "delete from audit where id = 1", "delete from audit where false", "truncate audit"} {
		if _, err := pool.Exec(ctx, attempt); err == nil || !strings.Contains(err.Error(), "the audit only grows") {
			t.Errorf("%s: %v", attempt, err)
		}
	}
	page := must(db.ListAudit(ctx, pool, "", platform.Everything(), db.AuditFilter{Limit: 4, BeforeID: 7}))(t)
	rest := must(db.ListAudit(ctx, pool, "", platform.Everything(), db.AuditFilter{BeforeID: page[3].ID}))(t)
	if page[0].Actor != "waiter" || len(rest) != 2 || rest[1].Subject != "app-0" || rest[1].IP != "127.0.0.1" || rest[1].At.IsZero() {
		t.Errorf("pages %+v and %+v", page, rest)
	}
}

func TestSearch(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app, other := dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "best-sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	gone := dbtest.Database(t, pool, app.ID, 20001)
	noError(t, db.SetDatabaseDestroyed(ctx, pool, gone.ID))
	find := func(text string, limit int) []db.SearchHit {
		return must(db.Search(ctx, pool, platform.Everything(), text, limit))(t)
	}
	hits := find(" SUSHI ", 0)
	if len(hits) != 3 || hits[0].ID != app.ID || hits[1].ID != other.ID || hits[2].ID != d.ID {
		t.Fatalf("found %+v", hits)
	}
	if h := hits[2]; h != (db.SearchHit{Kind: "database", ID: d.ID, Name: d.Name, Plan: "standard-0", State: "available", AppName: "sushi"}) {
		t.Errorf("database %+v", h)
	}
	if h := find(d.Name[3:], 0); len(h) != 1 || h[0].ID != d.ID {
		t.Errorf("by part: %+v", h)
	}
	for _, text := range []string{"", "  ", "%", "_", `\`, "nothing-like-this", gone.Name} {
		if h := find(text, 0); len(h) != 0 {
			t.Errorf("%q found %+v", text, h)
		}
	}
	if h := find("sushi", 1); len(h) != 1 {
		t.Errorf("a limit of 1 found %+v", h)
	}
}

// A notice to a person is that person's, whatever others may.
func TestPersonalNoticeIsItsPersonsAlone(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	chef, waiter := dbtest.User(t, pool, "chef@example.com"), dbtest.User(t, pool, "waiter@example.com")
	must(db.CreateNotice(ctx, pool, db.NewNotice{Kind: platform.NoticeDestroyed, Subject: "For administrators", Body: "b"}))(t)
	mine := must(db.CreateNotice(ctx, pool, db.NewNotice{Kind: platform.NoticeNewPlace, UserID: &waiter.ID, Subject: "For the waiter", Body: "b"}))(t)
	for _, c := range []struct {
		name   string
		user   int64
		access platform.Access
		want   int
		sees   bool
	}{
		{"its person, without rights", waiter.ID, platform.Access{}, 1, true},
		{"its person, an administrator", waiter.ID, platform.Everything(), 2, true},
		{"another administrator", chef.ID, platform.Everything(), 1, false},
		{"somebody without rights", chef.ID, platform.Access{}, 0, false},
	} {
		list := must(db.ListNotices(ctx, pool, c.user, c.access, db.NoticeFilter{}))(t)
		sees := false
		for _, n := range list {
			sees = sees || n.ID == mine
		}
		unread, rail := must(db.UnreadNotices(ctx, pool, c.user, c.access))(t), must(db.RailOf(ctx, pool, c.user, c.access))(t)
		if len(list) != c.want || sees != c.sees || unread != c.want || rail.UnreadNotices != c.want {
			t.Errorf("%s: list %d, sees it %v, unread %d, rail %d; want %d, %v", c.name, len(list), sees, unread, rail.UnreadNotices, c.want, c.sees)
		}
	}
	noError(t, db.MarkNoticesRead(ctx, pool, chef.ID, platform.Everything(), db.NoticeFilter{}))
	noError(t, db.MarkNoticesRead(ctx, pool, waiter.ID, platform.Everything(), db.NoticeFilter{}))
	for _, u := range []db.User{chef, waiter} {
		if n := must(db.RailOf(ctx, pool, u.ID, platform.Everything()))(t).UnreadNotices; n != 0 {
			t.Errorf("%s: %d unread after all were read", u.Email, n)
		}
	}
	if reach := must(db.ReachOfNotice(ctx, pool, mine))(t); reach.Person == nil || *reach.Person != waiter.ID {
		t.Errorf("it is for %v", reach.Person)
	}
}
