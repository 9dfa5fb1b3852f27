package db_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func tryAttach(t *testing.T, pool *pgxpool.Pool, n db.NewAttachment) (platform.Attachment, error) {
	t.Helper()
	return inTx(t, pool, func(tx pgx.Tx) (platform.Attachment, error) { return db.Attach(t.Context(), tx, n) })
}

func attach(t *testing.T, pool *pgxpool.Pool, n db.NewAttachment) platform.Attachment {
	t.Helper()
	return must(tryAttach(t, pool, n))(t)
}

func promote(t *testing.T, pool *pgxpool.Pool, p db.Promotion) (db.Promoted, error) {
	t.Helper()
	return inTx(t, pool, func(tx pgx.Tx) (db.Promoted, error) { return db.PromoteAttachment(t.Context(), tx, p) })
}

// names is the app's attachments as "NAME=database", DATABASE first.
func names(t *testing.T, q db.Querier, appID int64) []string {
	t.Helper()
	var list []string
	for _, a := range must(db.AttachmentsOfApp(t.Context(), q, appID))(t) {
		list = append(list, fmt.Sprintf("%s=%d", a.Name, a.DatabaseID))
	}
	return list
}

func TestAttach(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app, other := dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "ramen")
	d := dbtest.Database(t, pool, app.ID, 20000)
	follower := dbtest.Follower(t, pool, d, app.ID, 20001)

	first := attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: d.ID, FirstIsPrimary: true, Actor: "chef"})
	if first.Name != "DATABASE" || first.AppName != "sushi" || first.DatabaseName != d.Name || !first.IsPrimary() {
		t.Errorf("first %+v", first)
	}
	second := attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: follower.ID, FirstIsPrimary: true, Actor: "chef"})
	if !strings.HasPrefix(second.Name, "HEROKU_POSTGRESQL_") {
		t.Errorf("second %+v", second)
	}
	attach(t, pool, db.NewAttachment{AppID: other.ID, DatabaseID: d.ID, Name: "REPORTING", Actor: "chef"})
	r := must(db.ListReleases(ctx, pool, other.ID, 1))(t)[0]
	if r.Number != 2 || r.Description != "Attach "+d.Name+" as REPORTING" || r.Actor != "chef" {
		t.Errorf("released %+v", r)
	}
	if list := must(db.AttachmentsOfDatabase(ctx, pool, d.ID))(t); len(list) != 2 || list[0].AppName != "ramen" {
		t.Errorf("of the database %+v", list)
	}

	for _, c := range []struct {
		n     db.NewAttachment
		kind  platform.Kind
		field string
		part  string
	}{
		{db.NewAttachment{AppID: app.ID, DatabaseID: d.ID, Name: "DATABASE"}, platform.KindConflict, "name", "sushi already has DATABASE_URL"},
		{db.NewAttachment{AppID: other.ID, DatabaseID: follower.ID, Name: "DATABASE"}, platform.KindConflict, "name", "still a follower"},
		{db.NewAttachment{AppID: other.ID, DatabaseID: follower.ID, FirstIsPrimary: true}, platform.KindConflict, "name", "still a follower"},
		{db.NewAttachment{AppID: app.ID, DatabaseID: d.ID, Name: "lower"}, platform.KindInvalid, "name", "upper-case"},
		{db.NewAttachment{AppID: app.ID, DatabaseID: d.ID, Name: "X_URL"}, platform.KindInvalid, "name", "Leave out _URL"},
		{db.NewAttachment{AppID: app.ID, DatabaseID: 99, Name: "X"}, platform.KindNotFound, "", "does not exist"},
		{db.NewAttachment{AppID: 99, DatabaseID: d.ID, Name: "X"}, platform.KindNotFound, "", "does not exist"},
	} {
		_, err := tryAttach(t, pool, c.n)
		wantSentence(t, err, c.kind, c.field, c.part)
	}
	setVar(t, pool, other.ID, "CACHE_URL", "redis://x")
	_, err := tryAttach(t, pool, db.NewAttachment{AppID: other.ID, DatabaseID: d.ID, Name: "CACHE"})
	wantSentence(t, err, platform.KindConflict, "name", "ramen already has CACHE_URL")
	noError(t, db.SetDatabaseState(ctx, pool, d.ID, platform.DatabaseDestroying))
	_, err = tryAttach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: d.ID})
	wantSentence(t, err, platform.KindConflict, "", "is destroying and cannot be attached")
}

func TestAttachInAStepThatRunsTwice(t *testing.T) {
	pool := dbtest.New(t)
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	op := operation(t, pool, platform.CreateDatabase, d.ID)
	n := db.NewAttachment{AppID: app.ID, DatabaseID: d.ID, OperationID: &op}
	if a, b := attach(t, pool, n), attach(t, pool, n); a != b {
		t.Errorf("attached %s, then %s", a.Name, b.Name)
	}
	if r := must(db.ListReleases(t.Context(), pool, app.ID, 9))(t); len(r) != 2 || *r[0].OperationID != op {
		t.Errorf("releases %+v", r)
	}
}

func TestPromote(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	leader := dbtest.Database(t, pool, app.ID, 20000)
	follower := dbtest.Follower(t, pool, leader, app.ID, 20001)
	attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: leader.ID, Name: "DATABASE"})
	amber := attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: follower.ID, Name: "HEROKU_POSTGRESQL_AMBER"})
	toFollower := db.Promotion{AppID: app.ID, DatabaseID: follower.ID, Actor: "chef"}

	_, err := promote(t, pool, toFollower)
	wantSentence(t, err, platform.KindConflict, "name", "still a follower")
	noError(t, db.SetDatabaseUnfollowed(ctx, pool, follower.ID))
	done := must(promote(t, pool, toFollower))(t)
	if done.Old == nil || !strings.HasPrefix(done.Old.Name, "HEROKU_POSTGRESQL_") || done.Old.DatabaseID != leader.ID || done.Old.Name == amber.Name {
		t.Fatalf("the old one is %+v", done.Old)
	}
	if done.Release.Number != 4 || done.Release.Description != "Promote "+follower.Name+" to DATABASE" {
		t.Errorf("released %+v", done.Release)
	}
	want := []string{fmt.Sprintf("DATABASE=%d", follower.ID), fmt.Sprintf("HEROKU_POSTGRESQL_AMBER=%d", follower.ID), fmt.Sprintf("%s=%d", done.Old.Name, leader.ID)}
	slices.Sort(want)
	if got := names(t, pool, app.ID); !slices.Equal(got, want) {
		t.Errorf("attached %v, want %v", got, want)
	}
	if again := must(promote(t, pool, toFollower))(t); again.Release.Number != 0 || again.Old != nil {
		t.Errorf("again %+v", again)
	}
	// Back: the follower has AMBER already, so no colour is made.
	back := must(promote(t, pool, db.Promotion{AppID: app.ID, DatabaseID: leader.ID, Actor: "chef"}))(t)
	if back.Old == nil || back.Old.ID != amber.ID {
		t.Errorf("kept as %+v", back.Old)
	}
	noError(t, db.SetDatabaseFenced(ctx, pool, follower.ID, true))
	_, err = promote(t, pool, toFollower)
	wantSentence(t, err, platform.KindConflict, "name", "is fenced")

	// An app without DATABASE, and one with a DATABASE_URL of its own.
	other := dbtest.App(t, pool, "ramen")
	toOther := db.Promotion{AppID: other.ID, DatabaseID: leader.ID, Actor: "chef"}
	setVar(t, pool, other.ID, "DATABASE_URL", "postgres://elsewhere/x")
	_, err = promote(t, pool, toOther)
	wantSentence(t, err, platform.KindConflict, "", "ramen has a config var DATABASE_URL of its own")
	noError(t, db.InTx(ctx, pool, func(tx pgx.Tx) error {
		_, err := db.DeleteConfigVar(ctx, tx, other.ID, "DATABASE_URL", "chef")
		return err
	}))
	if done := must(promote(t, pool, toOther))(t); done.Old != nil || done.Release.Number == 0 {
		t.Errorf("promoted %+v", done)
	}
}

func TestDetach(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app, other := dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "ramen")
	d := dbtest.Database(t, pool, app.ID, 20000)
	primary := attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: d.ID, Name: "DATABASE"})
	detach := func(id int64) (platform.Release, error) {
		return inTx(t, pool, func(tx pgx.Tx) (platform.Release, error) { return db.Detach(ctx, tx, id, "chef", nil) })
	}
	if r := must(detach(primary.ID))(t); r.Number != 3 || r.Description != "Detach "+d.Name+" from DATABASE" {
		t.Errorf("released %+v", r)
	}
	_, err := detach(primary.ID)
	wantSentence(t, err, platform.KindNotFound, "", "attachment does not exist any more")
	if _, ok, err := db.PrimaryAttachment(ctx, pool, app.ID); ok || err != nil {
		t.Errorf("DATABASE is still there: %v", err)
	}
	attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: d.ID})
	attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: d.ID})
	attach(t, pool, db.NewAttachment{AppID: other.ID, DatabaseID: d.ID})
	for range 2 { // a step may run twice
		noError(t, db.InTx(ctx, pool, func(tx pgx.Tx) error { return db.DetachAll(ctx, tx, d.ID, "chef", nil) }))
	}
	if list := must(db.AttachmentsOfDatabase(ctx, pool, d.ID))(t); len(list) != 0 {
		t.Errorf("left %+v", list)
	}
	if r := must(db.ListReleases(ctx, pool, other.ID, 1))(t); r[0].Number != 3 {
		t.Errorf("ramen is at %+v", r)
	}
}
