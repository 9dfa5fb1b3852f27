package db_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5/pgconn"
)

// The role of the running program tries everything that would change or remove a
// row of the audit, or keep one from being written.
func TestProgramsRoleOnlyAddsToTheAudit(t *testing.T) {
	ctx, url := t.Context(), dbtest.URL(t)
	owner := dbtest.Open(t, url)
	role := fmt.Sprintf("program_%d", os.Getpid())
	_, err := owner.Exec(ctx, `create role `+role+` login`)
	noError(t, err)
	t.Cleanup(func() {
		for _, sql := range []string{`drop owned by ` + role, `drop role ` + role} {
			if _, err := owner.Exec(context.Background(), sql); err != nil { // t.Context() has ended
				t.Error(err)
			}
		}
	})
	noError(t, db.Grant(ctx, owner, role))
	noError(t, db.Grant(ctx, owner, role)) // as at every start
	config := owner.Config().ConnConfig
	pool := dbtest.Open(t, strings.Replace(url, config.User+"@", role+"@", 1))
	if got, owns, err := db.OwnsAudit(ctx, pool); err != nil || got != role || owns {
		t.Fatalf("the pool's role is %s, owns %v (%v)", got, owns, err)
	}
	if _, owns, err := db.OwnsAudit(ctx, owner); err != nil || !owns {
		t.Errorf("the owner owns %v (%v)", owns, err)
	}

	// What the program does all day.
	sushi := must(db.CreateApp(ctx, pool, "sushi", "chef@example.com"))(t)
	user := dbtest.User(t, pool, "chef@example.com")
	_, _, err = db.CreateSession(ctx, pool, user.ID, "", "")
	noError(t, err)
	noError(t, db.SetMember(ctx, pool, sushi.ID, user.ID, platform.RoleManage, ""))
	noError(t, db.AddAudit(ctx, pool, db.AuditEntry{Actor: "chef@example.com", Action: "create app", Outcome: db.AuditDone}))
	list := func() int { return len(must(db.ListAudit(ctx, pool, "", platform.Everything(), db.AuditFilter{}))(t)) }
	if list() != 1 {
		t.Fatalf("%d rows", list())
	}

	// What nobody does through the program.
	for _, sql := range []string{
		`update audit set actor = 'somebody else'`,
		`delete from audit`,
		`truncate audit`,
		`alter table audit disable trigger audit_only_grows`,
		`alter table audit disable trigger all`,
		`drop trigger audit_only_grows on audit`,
		`create or replace function audit_only_grows() returns trigger language plpgsql as 'begin return null; end'`,
		`create rule swallow as on insert to audit do instead nothing`,
		`create trigger swallow before insert on audit for each row execute function audit_only_grows()`,
		`drop table audit`,
		`alter table audit owner to ` + role,
		`alter table audit rename to old_audit`,
		`alter sequence audit_id_seq restart`,
		`insert into audit (actor, action, outcome) values ('x', 'x', 'done') on conflict (id) do update set actor = 'x'`,
		`select * from audit for update`,
		`set session_replication_role = replica`,
		`set role ` + config.User,
		`update schema_migrations set version = 0`,
		`alter schema public rename to gone`,
	} {
		_, err := pool.Exec(ctx, sql)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" {
			t.Errorf("%s: %v, want insufficient privilege", sql, err)
		}
	}
	if list() != 1 {
		t.Errorf("%d rows are left of 1", list())
	}
}
