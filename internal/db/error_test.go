package db_test

import (
	"slices"
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// programsOwn are constraints that only a mistake in the program breaks, and
// those whose violation a statement takes for an answer; programsOwnEnds are the
// ends of such names.
var (
	programsOwn     = []string{"api_tokens_scope_check", "identities_user_id_key", "invitations_to_check", "mail_settings_id_check", "mails_notice_check", "mails_notice_key", "maintenances_operation_id_key", "notices_once_key", "operation_steps_name_key", "passkeys_credential_id_key", "pool_readings_known", "servers_shared_check", "users_passkey_handle_key", "webhook_deliveries_once_key"}
	programsOwnEnds = []string{"_choice_check", "_level_check", "_mode_check", "_pkey", "_purpose_check", "_role_check", "_state_check", "_token_hash_key"}
)

// Every rule that a person can break by typing or by being second has its
// sentence; the others are only broken by a mistake in the program.
func TestEveryConstraintHasASentenceOrIsOurs(t *testing.T) {
	pool := dbtest.New(t)
	rows, err := pool.Query(t.Context(), `
		select conname from pg_constraint c join pg_class r on r.oid = c.conrelid
		where r.relnamespace = 'public'::regnamespace and r.relname not like 'river%' and contype <> 'n'
		union
		select i.relname from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class r on r.oid = x.indrelid
		where x.indisunique and r.relnamespace = 'public'::regnamespace and r.relname not like 'river%'`)
	noError(t, err)
	names := must(pgx.CollectRows(rows, pgx.RowTo[string]))(t)
	if len(names) < 40 {
		t.Fatalf("only %d constraints found", len(names))
	}
	for _, name := range names {
		ours := slices.Contains(programsOwn, name) || slices.ContainsFunc(programsOwnEnds, func(end string) bool { return strings.HasSuffix(name, end) })
		if !ours && !db.HasSentence(name) {
			t.Errorf("%s has no sentence", name)
		}
	}
	if db.HasSentence("apps_pkey") || db.HasSentence("") {
		t.Error("a sentence for anything is none")
	}
}

func TestViolatedConstraintsAreSentences(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	dbtest.User(t, pool, "chef@example.com")

	_, err := db.CreateApp(ctx, pool, "sushi", "chef")
	wantSentence(t, err, platform.KindConflict, "name", "The name sushi is taken")
	_, err = db.CreateApp(ctx, pool, "Sushi!", "chef")
	wantSentence(t, err, platform.KindInvalid, "name", "lower-case letters")
	_, err = db.CreateUser(ctx, pool, " Chef@Example.com ", false)
	wantSentence(t, err, platform.KindConflict, "email", "already a user chef@example.com")
	_, err = db.CreateUser(ctx, pool, "nobody", false)
	wantSentence(t, err, platform.KindInvalid, "email", "one @")
	err = db.SetProcess(ctx, pool, app.ID, platform.Process{Type: "web", Quantity: 1001})
	wantSentence(t, err, platform.KindInvalid, "quantity", "between 0 and 1000")
	err = db.SetProcess(ctx, pool, app.ID, platform.Process{Type: "web", Quantity: -1})
	wantSentence(t, err, platform.KindInvalid, "quantity", "between 0 and 1000")
	_, err = db.CreateServer(ctx, pool, db.NewServer{DatabaseID: d.ID, Zone: "a", Port: 20000, Major: 15, Plan: "standard-0"})
	wantSentence(t, err, platform.KindConflict, "port", "Port 20000 belongs to another server")
	_, _, err = db.CreateSession(ctx, pool, 4711, "", "")
	wantSentence(t, err, platform.KindNotFound, "", "does not exist any more")

	// Raw writes, as the operations' own files do them: the name is enough.
	for _, c := range []struct{ sql, part string }{
		{`insert into attachments (app_id, database_id, name) select app_id, id, 'DATABASE' from databases, generate_series(1, 2)`, "already has an attachment DATABASE"},
		{`insert into billing_periods (database_id, plan, monthly_cents) select id, plan, 1 from databases, generate_series(1, 2)`, "already billed"},
		{`insert into databases select (d).* from (select jsonb_populate_record(d, '{"id": 99}') as d from databases d) x`, ""},
		{`update databases set server_id = 99`, "does not exist any more"},
	} {
		err := db.InTx(ctx, pool, func(tx pgx.Tx) error { _, err := tx.Exec(ctx, c.sql); return err })
		switch {
		case err == nil:
			t.Errorf("accepted: %s", c.sql)
		case c.part != "" && !strings.Contains(err.Error(), c.part):
			t.Errorf("%s: %v", c.sql, err)
		}
	}
}
