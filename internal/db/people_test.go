package db_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// invite makes an invitation and returns its token.
func invite(t *testing.T, pool *pgxpool.Pool, n db.NewInvitation) (string, db.Invitation) {
	t.Helper()
	var made db.Invitation
	token := must(inTx(t, pool, func(tx pgx.Tx) (token string, err error) {
		token, made, err = db.CreateInvitation(t.Context(), tx, n)
		return token, err
	}))(t)
	return token, made
}

func accept(t *testing.T, pool *pgxpool.Pool, token string, userID int64) error {
	t.Helper()
	return db.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := db.AcceptInvitation(t.Context(), tx, token, userID)
		return err
	})
}

func TestInvitations(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	chef, waiter := dbtest.User(t, pool, "chef@example.com"), dbtest.User(t, pool, "waiter@example.com")
	sushi := must(db.CreateApp(ctx, pool, "sushi", chef.Email))(t)
	to := func(role platform.Role) db.NewInvitation {
		return db.NewInvitation{Email: " Waiter@Example.com ", AppID: &sushi.ID, Role: role, InvitedBy: chef.ID}
	}
	_, err := inTx(t, pool, func(tx pgx.Tx) (string, error) {
		token, _, err := db.CreateInvitation(ctx, tx, db.NewInvitation{Email: "nobody", InvitedBy: chef.ID})
		return token, err
	})
	wantSentence(t, err, platform.KindInvalid, "email", "one @")

	// Only the hash is kept, the newest of an address works, once.
	first, _ := invite(t, pool, to(platform.RoleView))
	token, made := invite(t, pool, to(platform.RoleOperate))
	if made.Email != "waiter@example.com" || made.AppName != "sushi" || made.InvitedBy != chef.Email || made.Role() != platform.RoleOperate || time.Until(made.ExpiresAt).Round(time.Minute) != db.InvitationLife {
		t.Errorf("made %+v", made)
	}
	var kept string
	noError(t, pool.QueryRow(ctx, `select string_agg(i::text, ' ') from invitations i`).Scan(&kept))
	if strings.Contains(kept, token) {
		t.Error("the token is kept")
	}
	wantSentence(t, accept(t, pool, first, waiter.ID), platform.KindNotFound, "", "accepted or revoked")
	if got := must(db.FindInvitation(ctx, pool, token))(t); got != made {
		// Pointers differ: compare what they point to.
		if got.ID != made.ID || *got.AppID != *made.AppID {
			t.Errorf("found %+v", got)
		}
	}
	var used atomic.Int32
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			if accept(t, pool, token, waiter.ID) == nil {
				used.Add(1)
			}
		})
	}
	running.Wait()
	if used.Load() != 1 {
		t.Errorf("used %d times", used.Load())
	}
	role := func() platform.Role { return must(db.AccessOf(ctx, pool, waiter.ID))(t).On(sushi.ID) }
	if role() != platform.RoleOperate {
		t.Errorf("the role is %s", role())
	}
	// A smaller role than the one there changes nothing.
	token, _ = invite(t, pool, to(platform.RoleView))
	noError(t, accept(t, pool, token, waiter.ID))
	if role() != platform.RoleOperate {
		t.Errorf("the role became %s", role())
	}

	// Revoked, too old, or to an app that is gone: dead.
	token, made = invite(t, pool, to(platform.RoleManage))
	if list := must(db.ListInvitations(ctx, pool, sushi.ID))(t); len(list) != 1 || list[0].ID != made.ID {
		t.Errorf("open: %+v", list)
	}
	if _, err := db.RevokeInvitation(ctx, pool, sushi.ID+1, made.ID); platform.KindOf(err) != platform.KindNotFound {
		t.Errorf("revoked from another app: %v", err)
	}
	if email := must(db.RevokeInvitation(ctx, pool, sushi.ID, made.ID))(t); email != "waiter@example.com" {
		t.Errorf("revoked that of %s", email)
	}
	dead := func() {
		t.Helper()
		wantSentence(t, accept(t, pool, token, waiter.ID), platform.KindNotFound, "", "accepted or revoked, or has expired")
	}
	dead()
	token, _ = invite(t, pool, to(platform.RoleManage))
	_, err = pool.Exec(ctx, `update invitations set expires_at = now() - interval '1 second'`)
	noError(t, err)
	dead()
	token, _ = invite(t, pool, to(platform.RoleManage))
	_, err = pool.Exec(ctx, `update apps set destroyed_at = now() where id = $1`, sushi.ID)
	noError(t, err)
	dead()
	if n := must(db.DeleteOldInvitations(ctx, pool))(t); n != 0 {
		t.Errorf("%d young invitations forgotten", n)
	}
}

func TestInvitationsEndWithTheRightToMakeThem(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	boss := must(db.CreateUser(ctx, pool, "boss@example.com", true))(t)
	must(db.CreateUser(ctx, pool, "second@example.com", true))(t)
	chef := dbtest.User(t, pool, "chef@example.com")
	sushi := must(db.CreateApp(ctx, pool, "sushi", boss.Email))(t)
	open := func() int { return len(must(db.ListInvitations(ctx, pool, 0))(t)) }
	for what, end := range map[string]func(tx pgx.Tx) error{
		"a smaller role": func(tx pgx.Tx) error { return db.ChangeMember(ctx, tx, sushi.ID, chef.ID, platform.RoleOperate) },
		"no role":        func(tx pgx.Tx) error { return db.RemoveMember(ctx, tx, sushi.ID, chef.ID) },
		"deactivated":    func(tx pgx.Tx) error { return db.Deactivate(ctx, tx, chef.ID, boss.Email) },
	} {
		noError(t, db.SetMember(ctx, pool, sushi.ID, chef.ID, platform.RoleManage, boss.Email))
		invite(t, pool, db.NewInvitation{Email: "waiter@example.com", AppID: &sushi.ID, Role: platform.RoleManage, InvitedBy: chef.ID})
		if open() != 1 {
			t.Fatalf("%d open", open())
		}
		noError(t, db.InTx(ctx, pool, end))
		if open() != 0 {
			t.Errorf("%s: the invitation is still open", what)
		}
	}
	invite(t, pool, db.NewInvitation{Email: "new@example.com", IsAdmin: true, InvitedBy: boss.ID})
	noError(t, db.InTx(ctx, pool, func(tx pgx.Tx) error { return db.SetAdmin(ctx, tx, boss.ID, false) }))
	if open() != 0 {
		t.Error("no administrator any more: the invitation is still open")
	}

	// No more than 50 at once.
	_, err := pool.Exec(ctx, `insert into invitations (token_hash, email, invited_by, expires_at)
		select g::text::bytea, g || '@example.com', $1, now() + interval '1 day' from generate_series(1, 50) g`, boss.ID)
	noError(t, err)
	_, err = inTx(t, pool, func(tx pgx.Tx) (string, error) {
		token, _, err := db.CreateInvitation(ctx, tx, db.NewInvitation{Email: "one.more@example.com", InvitedBy: boss.ID})
		return token, err
	})
	wantSentence(t, err, platform.KindConflict, "", "50 invitations are open")
}

func TestDeactivatedHaveNoWayIn(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	boss := must(db.CreateUser(ctx, pool, "boss@example.com", true))(t)
	chef := dbtest.User(t, pool, "chef@example.com")
	sushi := must(db.CreateApp(ctx, pool, "sushi", chef.Email))(t)
	session, _, err := db.CreateSession(ctx, pool, chef.ID, "", "")
	noError(t, err)
	token, _, err := db.CreateAPIToken(ctx, pool, chef.ID, "ci", 0)
	noError(t, err)
	link := must(db.CreateSignInLink(ctx, pool, chef.ID, time.Hour))(t)
	feed := must(db.CreateCalendarFeed(ctx, pool, chef.ID))(t)
	person := func() db.Person { return must(db.PersonByID(ctx, pool, chef.ID))(t) }
	if p := person(); !p.Active() || p.Sessions != 1 || p.Tokens != 1 || p.LastSignInAt == nil || strings.Join(p.AppNames, " ") != "sushi" || p.AppRoles[0] != "manage" {
		t.Errorf("before: %+v", p)
	}

	inTx := func(fn func(tx pgx.Tx) error) error { return db.InTx(ctx, pool, fn) }
	deactivate := func(u db.User) error {
		return inTx(func(tx pgx.Tx) error { return db.Deactivate(ctx, tx, u.ID, boss.Email) })
	}
	noError(t, deactivate(chef))
	if p := person(); p.Active() || p.DeactivatedBy != boss.Email || p.Sessions+p.Tokens != 0 || len(p.AppNames) != 1 {
		t.Errorf("after: %+v", p)
	}
	if got := must(db.AccessOf(ctx, pool, chef.ID))(t); got.Key() != "" {
		t.Errorf("access %q", got.Key())
	}
	if got := must(db.Managers(ctx, pool, sushi.ID))(t); len(got) != 0 {
		t.Errorf("managers %v", got)
	}
	for what, err := range map[string]error{
		"the session":        second(db.FindSession(ctx, pool, session, time.Hour, time.Hour)),
		"the token":          second(db.FindAPIToken(ctx, pool, token)),
		"the link":           first(db.UseSignInLink(ctx, pool, link)),
		"the feed":           first(db.FindCalendarFeed(ctx, pool, feed)),
		"a new session":      second(db.CreateSession(ctx, pool, chef.ID, "", "")),
		"a new sign-in link": first(db.CreateSignInLink(ctx, pool, chef.ID, time.Hour)),
		"a link that resets": first(db.CreateResetLink(ctx, pool, chef.ID, time.Hour, "")),
	} {
		if kind := platform.KindOf(err); kind != platform.KindNotFound && kind != platform.KindForbidden {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Rows that a mistake would leave behind give nothing either.
	_, err = pool.Exec(ctx, `insert into sessions (token_hash, user_id, csrf_token) select sha256(convert_to($$x$$, $$UTF8$$)), id, 'x' from users where id = $1`, chef.ID)
	noError(t, err)
	_, _, err = db.FindSession(ctx, pool, "x", time.Hour, time.Hour)
	if platform.KindOf(err) != platform.KindNotFound {
		t.Errorf("a row of a session: %v", err)
	}

	noError(t, db.Reactivate(ctx, pool, chef.ID))
	if _, _, err := db.CreateSession(ctx, pool, chef.ID, "", ""); err != nil || person().AppRoles[0] != "manage" {
		t.Errorf("back again: %v, %+v", err, person())
	}
	wantSentence(t, db.Reactivate(ctx, pool, chef.ID), platform.KindNotFound, "", "active already")

	// The last administrator stays one; deactivated ones do not count.
	admin := func(u db.User, is bool) error {
		return inTx(func(tx pgx.Tx) error { return db.SetAdmin(ctx, tx, u.ID, is) })
	}
	noError(t, admin(chef, true))
	noError(t, deactivate(chef))
	for what, err := range map[string]error{"taken away": admin(boss, false), "deactivated": deactivate(boss)} {
		if platform.KindOf(err) != platform.KindConflict || !strings.Contains(err.Error(), "Make somebody else an administrator first") {
			t.Errorf("%s: %v", what, err)
		}
	}
	noError(t, db.Reactivate(ctx, pool, chef.ID))
	// Two who take it away from each other: one of them stays.
	var running sync.WaitGroup
	for _, u := range []db.User{boss, chef} {
		running.Go(func() { _ = admin(u, false) })
	}
	running.Wait()
	left := 0
	for _, p := range must(db.ListPeople(ctx, pool))(t) {
		if p.IsAdmin {
			left++
		}
	}
	if left != 1 {
		t.Errorf("%d administrators are left", left)
	}
}

func first[T any](_ T, err error) error { return err }

func second[T, U any](_ T, _ U, err error) error { return err }
