package db_test

import (
	"slices"
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const host = "127.0.0.1"

func setVar(t *testing.T, pool *pgxpool.Pool, appID int64, name, text string) platform.Release {
	t.Helper()
	return must(inTx(t, pool, func(tx pgx.Tx) (platform.Release, error) {
		return db.SetConfigVar(t.Context(), tx, dbtest.Sealer(t), appID, name, text, "chef")
	}))(t)
}

func TestAppLives(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	if got := must(db.AppByName(ctx, pool, "sushi"))(t); got != app {
		t.Errorf("got %+v, made %+v", got, app)
	}
	if f := must(db.Formation(ctx, pool, app.ID))(t); !slices.Equal(f, []platform.Process{{Type: "web", Quantity: 1}}) {
		t.Errorf("formation %v", f)
	}
	noError(t, db.SetMaintenance(ctx, pool, app.ID, true))
	if !must(db.AppByID(ctx, pool, app.ID))(t).MaintenanceOn {
		t.Error("maintenance mode is off")
	}
	wantSentence(t, db.SetMaintenance(ctx, pool, 99, true), platform.KindNotFound, "", "does not exist any more")

	d := dbtest.Database(t, pool, app.ID, 20000)
	attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: d.ID, FirstIsPrimary: true})
	list := must(db.ListApps(ctx, pool, platform.Everything()))(t)
	if len(list) != 1 || list[0].Release != 2 || list[0].Processes != 1 || list[0].Databases != 1 || list[0].DatabaseName != d.Name || !list[0].MaintenanceOn {
		t.Errorf("listed %+v", list)
	}
	destroy := func() error {
		return db.InTx(ctx, pool, func(tx pgx.Tx) error { return db.DestroyApp(ctx, tx, app.ID) })
	}
	wantSentence(t, destroy(), platform.KindConflict, "", "sushi still has "+d.Name)
	noError(t, db.SetDatabaseDestroyed(ctx, pool, d.ID))
	noError(t, destroy())
	wantSentence(t, destroy(), platform.KindNotFound, "", "does not exist any more")
	if n := len(must(db.AttachmentsOfDatabase(ctx, pool, d.ID))(t)); n != 0 {
		t.Errorf("%d attachments are left", n)
	}
	if again := dbtest.App(t, pool, "sushi"); again.ID == app.ID {
		t.Error("the old app came back")
	}
}

func TestFormationScales(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	noError(t, db.SetProcess(ctx, pool, app.ID, platform.Process{Type: "worker", Quantity: 2}))
	noError(t, db.SetFormation(ctx, pool, app.ID, []platform.Process{{Type: "web", Quantity: 0}, {Type: "worker", Quantity: 0}}))
	want := []platform.Process{{Type: "web", Quantity: 0}, {Type: "worker", Quantity: 0}}
	if f := must(db.Formation(ctx, pool, app.ID))(t); !slices.Equal(f, want) {
		t.Errorf("formation %v", f)
	}
	noError(t, db.SetFormation(ctx, pool, app.ID, nil))
	noError(t, db.RemoveProcess(ctx, pool, app.ID, "worker"))
	wantSentence(t, db.RemoveProcess(ctx, pool, app.ID, "worker"), platform.KindNotFound, "", "no process type worker")
	wantSentence(t, db.SetProcess(ctx, pool, app.ID, platform.Process{Type: "Web!"}), platform.KindInvalid, "process", "lower-case")
	wantSentence(t, db.SetProcess(ctx, pool, 99, platform.Process{Type: "web"}), platform.KindNotFound, "", "does not exist any more")
}

func TestReleasesAreNumberedWithoutGaps(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	const writers, each = 6, 10
	errs := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := range each {
				err := db.InTx(ctx, pool, func(tx pgx.Tx) error {
					_, err := db.SetConfigVar(ctx, tx, dbtest.Sealer(t), app.ID, "SAME", strings.Repeat("x", w*each+i+1), "chef")
					return err
				})
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range writers {
		noError(t, <-errs)
	}
	list := must(db.ListReleases(ctx, pool, app.ID, 1000))(t)
	if len(list) != writers*each+1 {
		t.Fatalf("%d releases", len(list))
	}
	for i, r := range list {
		if r.Number != len(list)-i {
			t.Fatalf("release %d stands at place %d", r.Number, i)
		}
	}
	if r := list[len(list)-1]; r.Description != "App created" || r.Actor != "fixture" {
		t.Errorf("the first release is %+v", r)
	}
	if n := len(must(db.ListReleases(ctx, pool, app.ID, 3))(t)); n != 3 {
		t.Errorf("a limit of 3 gives %d", n)
	}
}

func TestConfigVars(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	s := dbtest.Sealer(t)
	app := dbtest.App(t, pool, "sushi")
	vars := func() []platform.ConfigVar { return must(db.ListConfigVars(ctx, pool, s, host, app.ID))(t) }
	set := func(name, text string) error {
		return db.InTx(ctx, pool, func(tx pgx.Tx) error {
			_, err := db.SetConfigVar(ctx, tx, s, app.ID, name, text, "chef")
			return err
		})
	}
	remove := func(name string) error {
		return db.InTx(ctx, pool, func(tx pgx.Tx) error {
			_, err := db.DeleteConfigVar(ctx, tx, app.ID, name, "chef")
			return err
		})
	}
	if r := setVar(t, pool, app.ID, "SPICE", "wasabi"); r.Number != 2 || r.Description != "Set SPICE" || r.Actor != "chef" {
		t.Errorf("released %+v", r)
	}
	if r := setVar(t, pool, app.ID, "SPICE", "wasabi"); r.Number != 0 {
		t.Errorf("the same value made release %d", r.Number)
	}
	setVar(t, pool, app.ID, "SPICE", "ginger\n\"two lines\"")

	d := dbtest.Database(t, pool, app.ID, 20000)
	attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: d.ID, FirstIsPrimary: true})
	url := must(db.DatabaseURL(ctx, pool, s, host, d.ID))(t)
	password := must(db.DatabasePassword(ctx, pool, s, d.ID))(t)
	if want := "postgres://" + d.RoleName + ":" + password + "@127.0.0.1:20000/" + d.DatabaseName + "?sslmode=require"; url != want {
		t.Errorf("URL %s, want %s", url, want)
	}
	want := []platform.ConfigVar{{Name: "DATABASE_URL", Value: url, Attachment: "DATABASE"}, {Name: "SPICE", Value: "ginger\n\"two lines\""}}
	if got := vars(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	q, counter := counted(t, pool)
	if got := must(db.ConfigVarsOfApp(ctx, q, s, host, "sushi"))(t); !slices.Equal(got, want) || counter.n.Load() != 1 {
		t.Errorf("got %v in %d queries", got, counter.n.Load())
	}
	_, err := db.ConfigVarsOfApp(ctx, pool, s, host, "ramen")
	wantSentence(t, err, platform.KindNotFound, "", "There is no app ramen")
	_, err = db.ListConfigVars(ctx, pool, s, host, 99)
	wantSentence(t, err, platform.KindNotFound, "", "app does not exist")
	if v := must(db.ConfigVar(ctx, pool, s, host, app.ID, "DATABASE_URL"))(t); v != want[0] {
		t.Errorf("got %v", v)
	}
	_, err = db.ConfigVar(ctx, pool, s, host, app.ID, "NONE")
	wantSentence(t, err, platform.KindNotFound, "", "no config var NONE")

	wantSentence(t, set("DATABASE_URL", "x"), platform.KindConflict, "name", "set by the attachment of "+d.Name)
	wantSentence(t, remove("DATABASE_URL"), platform.KindConflict, "name", "set by the attachment of "+d.Name)
	wantSentence(t, set("1X", "x"), platform.KindInvalid, "name", "letters, digits")
	wantSentence(t, set("X", strings.Repeat("x", 40000)), platform.KindInvalid, "value", "at most 32 kB")
	wantSentence(t, set("X", "a\x00b"), platform.KindInvalid, "value", "zero byte")
	wantSentence(t, remove("NONE"), platform.KindNotFound, "", "no config var NONE")
	noError(t, remove("SPICE"))
	if got := vars(); len(got) != 1 {
		t.Errorf("left %v", got)
	}
	// A database without a server has no URL, and its config var waits.
	noError(t, db.SetDatabaseServer(ctx, pool, d.ID, nil))
	if got := vars(); len(got) != 0 {
		t.Errorf("left %v", got)
	}
	_, err = db.DatabaseURL(ctx, pool, s, host, d.ID)
	wantSentence(t, err, platform.KindConflict, "", "no server yet")
}

// A sealed value that somebody moves to another app does not open there.
func TestSealedConfigVarIsBoundToItsRow(t *testing.T) {
	pool := dbtest.New(t)
	a, b := dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "ramen")
	setVar(t, pool, a.ID, "SPICE", "wasabi")
	_, err := pool.Exec(t.Context(), `update config_vars set app_id = $1`, b.ID)
	noError(t, err)
	_, err = db.ListConfigVars(t.Context(), pool, dbtest.Sealer(t), host, b.ID)
	wantSentence(t, err, platform.KindUnavailable, "", "another key")
}
