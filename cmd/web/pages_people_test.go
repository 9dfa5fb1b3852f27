package main

import (
	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// people are others than who looks: with roles, without, invited, deactivated.
func (d *seeded) people() {
	d.t.Helper()
	ctx := d.t.Context()
	for email, name := range map[string]string{"waiter@example.com": "Wim de Ober", "a.person.with.a.very.long.address.indeed@kitchen.example.com": "", "left@example.com": "Lea"} {
		user, err := db.CreateUser(ctx, d.pool, email, false)
		d.must(err)
		d.must(db.SetUserName(ctx, d.pool, user.ID, name))
	}
	waiter := d.userNamed(d.t, "waiter@example.com")
	for i, app := range []string{"sushi", "kitchen", "larder", "an-app-without-anything-yet"} {
		it, err := db.AppByName(ctx, d.pool, app)
		d.must(err)
		d.must(db.SetMember(ctx, d.pool, it.ID, waiter.ID, []platform.Role{platform.RoleManage, platform.RoleOperate, platform.RoleView, platform.RoleView}[i], pagesUser))
	}
	for range 2 {
		_, _, err := db.CreateSession(ctx, d.pool, waiter.ID, "192.0.2.9", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0")
		d.must(err)
	}
	d.must(db.InTx(ctx, d.pool, func(tx pgx.Tx) error {
		return db.Deactivate(ctx, tx, d.userNamed(d.t, "left@example.com").ID, pagesUser)
	}))
	d.invitation("cook@example.com")
}

// invitation is the path of one to sushi. An open one of that address stays.
func (d *seeded) invitation(email string) (path string) {
	d.t.Helper()
	ctx := d.t.Context()
	app := "sushi"
	for range 2 {
		it, err := db.AppByName(ctx, d.pool, app)
		d.must(err)
		var taken bool
		d.must(d.pool.QueryRow(ctx, `select exists (select from invitations where email = $1 and app_id = $2)`, email, it.ID).Scan(&taken))
		if app = "larder"; taken {
			continue
		}
		d.must(db.InTx(ctx, d.pool, func(tx pgx.Tx) error {
			token, _, err := db.CreateInvitation(ctx, tx, db.NewInvitation{Email: email, AppID: &it.ID, Role: platform.RoleOperate, InvitedBy: d.user.ID})
			path = invitationPath + token
			return err
		}))
		return path
	}
	d.t.Fatalf("%s has both invitations already", email)
	return ""
}
