package db_test

import (
	"context"
	"slices"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

func TestMembers(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	chef := dbtest.User(t, pool, "chef@example.com")
	waiter := dbtest.User(t, pool, "waiter@example.com")
	sushi := must(db.CreateApp(ctx, pool, "sushi", chef.Email))(t)
	ramen := dbtest.App(t, pool, "ramen")

	// Who makes an app manages it.
	access := func(u db.User) string { return must(db.AccessOf(ctx, pool, u.ID))(t).Key() }
	if got := must(db.AccessOf(ctx, pool, chef.ID))(t); got.On(sushi.ID) != platform.RoleManage || got.On(ramen.ID) != platform.RoleNone || got.Admin {
		t.Errorf("the maker's access: %+v", got)
	}
	if access(waiter) != "" {
		t.Errorf("the waiter's access: %q", access(waiter))
	}
	noError(t, db.SetMember(ctx, pool, sushi.ID, waiter.ID, platform.RoleView, chef.Email))
	inTx := func(fn func(tx pgx.Tx) error) error { return db.InTx(ctx, pool, fn) }
	noError(t, inTx(func(tx pgx.Tx) error { return db.ChangeMember(ctx, tx, sushi.ID, waiter.ID, platform.RoleOperate) }))
	list := must(db.ListMembers(ctx, pool, sushi.ID))(t)
	if len(list) != 2 || list[0].Email != chef.Email || list[1].Role != platform.RoleOperate || list[1].AddedBy != chef.Email {
		t.Errorf("members: %+v", list)
	}
	if got := must(db.Managers(ctx, pool, sushi.ID))(t); len(got) != 1 || got[0] != chef.Email {
		t.Errorf("managers: %v", got)
	}

	// Somebody has to be left who can say who may.
	remove := func(tx pgx.Tx) error { return db.RemoveMember(ctx, tx, sushi.ID, chef.ID) }
	wantSentence(t, inTx(remove), platform.KindConflict, "", "Nobody else manages this app")
	wantSentence(t, inTx(func(tx pgx.Tx) error { return db.ChangeMember(ctx, tx, sushi.ID, chef.ID, platform.RoleView) }), platform.KindConflict, "", "Nobody else manages this app")
	boss := must(db.CreateUser(ctx, pool, "boss@example.com", true))(t)
	if access(boss) != "admin" {
		t.Errorf("an administrator's access: %q", access(boss))
	}
	wantSentence(t, inTx(remove), platform.KindConflict, "", "Give somebody else the role manage first")
	noError(t, db.SetMember(ctx, pool, sushi.ID, waiter.ID, platform.RoleManage, boss.Email))
	noError(t, inTx(func(tx pgx.Tx) error { return db.Deactivate(ctx, tx, waiter.ID, boss.Email) }))
	wantSentence(t, inTx(remove), platform.KindConflict, "", "Nobody else manages this app")
	noError(t, db.Reactivate(ctx, pool, waiter.ID))
	noError(t, inTx(remove))
	wantSentence(t, inTx(remove), platform.KindNotFound, "", "has no role on the app")
	if access(chef) != "" {
		t.Errorf("after removing: %q", access(chef))
	}
}

func TestReach(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	sushi, ramen, soba := dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "ramen"), dbtest.App(t, pool, "soba")
	leader := dbtest.Database(t, pool, sushi.ID, 20001)
	follower := dbtest.Follower(t, pool, leader, ramen.ID, 20002)
	var op platform.Operation
	noError(t, db.InTx(ctx, pool, func(tx pgx.Tx) error {
		if _, err := db.Attach(ctx, tx, db.NewAttachment{AppID: soba.ID, DatabaseID: leader.ID, Name: "SHARED", Actor: "chef"}); err != nil {
			return err
		}
		var err error
		op, err = db.InsertOperation(ctx, tx, db.NewOperation{Kind: platform.FollowerChangeover, DatabaseID: leader.ID, TargetID: &follower.ID, RequestedBy: "chef", StepNames: []string{"look"}})
		return err
	}))
	notice := must(db.CreateNotice(ctx, pool, db.NewNotice{Kind: platform.NoticeFenced, DatabaseID: &follower.ID, Subject: "x", Body: "x"}))(t)
	homeless := must(db.CreateNotice(ctx, pool, db.NewNotice{Kind: platform.NoticeFenced, Subject: "x", Body: "x"}))(t)

	on := func(role platform.Role, apps ...platform.App) platform.Access {
		a := platform.Access{Apps: map[int64]platform.Role{}}
		for _, app := range apps {
			a.Apps[app.ID] = role
		}
		return a
	}
	manage := platform.RoleManage
	for _, c := range []struct {
		name   string
		reach  db.Reach
		access platform.Access
		sees   bool
		role   platform.Role
	}{
		{"a database, its app", must(db.ReachOfDatabase(ctx, pool, leader.Name))(t), on(manage, sushi), true, manage},
		{"a database, an app it is attached to", must(db.ReachOfDatabase(ctx, pool, leader.Name))(t), on(manage, soba), true, platform.RoleNone},
		{"a database, another app", must(db.ReachOfDatabase(ctx, pool, leader.Name))(t), on(manage, ramen), false, platform.RoleNone},
		{"an operation on two apps, one role", must(db.ReachOfOperation(ctx, pool, op.ID))(t), on(manage, sushi), true, platform.RoleNone},
		{"an operation on two apps, both", must(db.ReachOfOperation(ctx, pool, op.ID))(t), on(manage, sushi, ramen), true, manage},
		{"an operation, attached", must(db.ReachOfOperation(ctx, pool, op.ID))(t), on(manage, soba), true, platform.RoleNone},
		{"an operation, an administrator", must(db.ReachOfOperation(ctx, pool, op.ID))(t), platform.Everything(), true, manage},
		{"a notice", must(db.ReachOfNotice(ctx, pool, notice))(t), on(manage, ramen), true, manage},
		{"a notice, another app", must(db.ReachOfNotice(ctx, pool, notice))(t), on(manage, sushi), false, platform.RoleNone},
		{"a notice of no app", must(db.ReachOfNotice(ctx, pool, homeless))(t), on(manage, sushi, ramen, soba), false, platform.RoleNone},
		{"a notice of no app, an administrator", must(db.ReachOfNotice(ctx, pool, homeless))(t), platform.Everything(), true, manage},
	} {
		if sees, role := c.reach.Sees(c.access), c.access.OnAll(c.reach.Apps...); sees != c.sees || role != c.role {
			t.Errorf("%s: sees %v with %s, want %v with %s", c.name, sees, role, c.sees, c.role)
		}
	}
	for _, missing := range []func() error{
		func() error { _, err := db.ReachOfDatabase(ctx, pool, "postgresql-none-00000"); return err },
		func() error { _, err := db.ReachOfOperation(ctx, pool, 999); return err },
		func() error { _, err := db.ReachOfNotice(ctx, pool, 999); return err },
	} {
		wantSentence(t, missing(), platform.KindNotFound, "", "There is no")
	}
	if got := must(db.AppsAround(ctx, pool, follower.ID))(t); len(got) != 3 {
		t.Errorf("around the follower: %v", got)
	}
	if got := must(db.AppsAroundApp(ctx, pool, soba.ID))(t); len(got) != 2 || got[0] != sushi.ID {
		t.Errorf("around soba: %v", got)
	}
}

// TestMembersMigration starts from an installation of before there were roles.
func TestMembersMigration(t *testing.T) {
	ctx := t.Context()
	pool := dbtest.Open(t, dbtest.EmptyURL(t))
	list := must(db.Migrations())(t)
	before := slices.IndexFunc(list, func(m db.Migration) bool { return m.Name == "members" })
	noError(t, db.MigrateTo(ctx, pool, list[:before]))
	for _, sql := range []string{
		`insert into users (email, is_admin) values ('first@example.com', false), ('second@example.com', false)`,
		`insert into apps (name) values ('sushi'), ('ramen')`,
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	noError(t, db.Migrate(ctx, pool))
	second := must(db.UserByEmail(ctx, pool, "second@example.com"))(t)
	first := must(db.UserByEmail(ctx, pool, "first@example.com"))(t)
	if !first.IsAdmin || second.IsAdmin {
		t.Errorf("administrators: %v %v", first.IsAdmin, second.IsAdmin)
	}
	if got := must(db.AccessOf(context.Background(), pool, second.ID))(t); len(got.Apps) != 2 || got.OnAll(got.AppIDs()...) != platform.RoleManage {
		t.Errorf("whoever was there lost something: %+v", got)
	}
}
