package db_test

import (
	"sync"
	"testing"
	"testing/fstest"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
)

func TestMigrateTwiceAndAtOnce(t *testing.T) {
	pool := dbtest.Open(t, dbtest.EmptyURL(t))
	var running sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		running.Go(func() { errs[i] = db.Migrate(t.Context(), pool) })
	}
	running.Wait()
	for _, err := range errs {
		noError(t, err)
	}
	noError(t, db.Migrate(t.Context(), pool))
	list, err := db.Migrations()
	noError(t, err)
	var ours, river int
	noError(t, pool.QueryRow(t.Context(), "select (select count(*) from schema_migrations), (select count(*) from river_migration)").Scan(&ours, &river))
	if ours != len(list) || river < 6 {
		t.Errorf("%d of our %d migrations and %d of River's are recorded", ours, len(list), river)
	}
	dbtest.App(t, pool, "sushi")
}

func TestMigrateRefusesNewerSchemas(t *testing.T) {
	pool := dbtest.New(t)
	_, err := pool.Exec(t.Context(), "insert into schema_migrations (version, name) values (9999, 'from_the_future')")
	noError(t, err)
	wantSentence(t, db.Migrate(t.Context(), pool), platform.KindConflict, "", "has schema 9999 and this program knows only up to")

	pool = dbtest.New(t)
	_, err = pool.Exec(t.Context(), "insert into river_migration (line, version) values ('main', 9999)")
	noError(t, err)
	wantSentence(t, db.Migrate(t.Context(), pool), platform.KindConflict, "", "job queue in the control database has schema 9999")
}

// A migration that fails leaves nothing of itself, and those before it stay.
func TestMigrateIsAllOrNothingForEachFile(t *testing.T) {
	pool := dbtest.Open(t, dbtest.EmptyURL(t))
	err := db.MigrateFrom(t.Context(), pool, fstest.MapFS{
		"0001_good.sql": {Data: []byte("create table good (id int)")},
		"0002_bad.sql":  {Data: []byte("create table half (id int); create table half (id int)")},
	})
	if err == nil {
		t.Fatal("a broken migration passed")
	}
	var good, half bool
	var version int
	noError(t, pool.QueryRow(t.Context(), `select to_regclass('good') is not null, to_regclass('half') is not null,
		(select max(version) from schema_migrations)`).Scan(&good, &half, &version))
	if !good || half || version != 1 {
		t.Errorf("good %v, half %v, version %d", good, half, version)
	}
}

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{
		"gap":    {"0001_a.sql": {}, "0003_b.sql": {}},
		"double": {"0001_a.sql": {}, "0001_b.sql": {}},
		"name":   {"first.sql": {}},
	} {
		if err := db.MigrateFrom(t.Context(), nil, files); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
