package db_test

import (
	"context"
	"reflect"
	"sync/atomic"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// same compares what pointers point to, too.
func same[T any](a, b T) bool { return reflect.DeepEqual(a, b) }

// operation starts one of two steps on a database.
func operation(t *testing.T, pool *pgxpool.Pool, kind platform.OperationKind, databaseID int64) int64 {
	t.Helper()
	op := must(inTx(t, pool, func(tx pgx.Tx) (platform.Operation, error) {
		return db.InsertOperation(t.Context(), tx, db.NewOperation{
			Kind: kind, DatabaseID: databaseID, RequestedBy: "chef", StepNames: []string{"one", "two"},
		})
	}))(t)
	return op.ID
}

// queryCounter counts the statements sent.
type queryCounter struct{ n atomic.Int64 }

func (c *queryCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.n.Add(1)
	return ctx
}
func (c *queryCounter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// counted is a second pool on the same database that counts.
func counted(t *testing.T, pool *pgxpool.Pool) (*pgxpool.Pool, *queryCounter) {
	t.Helper()
	config, counter := pool.Config(), &queryCounter{}
	config.ConnConfig.Tracer = counter
	second := must(pgxpool.NewWithConfig(t.Context(), config))(t)
	t.Cleanup(second.Close)
	return second, counter
}

func TestDatabaseIsMade(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	s := dbtest.Sealer(t)
	app := dbtest.App(t, pool, "sushi")
	d := must(db.CreateDatabase(ctx, pool, s, db.NewDatabase{AppID: app.ID, Plan: "standard-0", Major: 15}))(t)
	if d.State != platform.DatabaseCreating || d.AppName != "sushi" || !d.ForkReady || d.ServerID != nil || d.IsFollower() || d.RoleName == d.DatabaseName {
		t.Errorf("made %+v", d)
	}
	for _, found := range []platform.Database{
		must(db.DatabaseByName(ctx, pool, d.Name))(t), must(db.DatabaseByID(ctx, pool, d.ID))(t),
		must(inTx(t, pool, func(tx pgx.Tx) (platform.Database, error) { return db.LockDatabase(ctx, tx, d.ID) }))(t),
	} {
		if !same(found, d) {
			t.Errorf("found %+v, made %+v", found, d)
		}
	}
	_, err := db.DatabaseByName(ctx, pool, "postgresql-none-00000")
	wantSentence(t, err, platform.KindNotFound, "", "There is no database postgresql-none-00000")
	_, err = db.DatabaseByID(ctx, pool, 99)
	wantSentence(t, err, platform.KindNotFound, "", "does not exist any more")
	_, err = db.CreateDatabase(ctx, pool, s, db.NewDatabase{AppID: 99, Plan: "standard-0", Major: 15})
	wantSentence(t, err, platform.KindNotFound, "", "does not exist any more")

	f := must(db.CreateFollower(ctx, pool, s, d, app.ID, "standard-2"))(t)
	if !f.IsFollower() || *f.FollowingID != d.ID || f.RoleName != d.RoleName || f.DatabaseName != d.DatabaseName || f.Name == d.Name {
		t.Errorf("follower %+v", f)
	}
	if must(db.DatabasePassword(ctx, pool, s, f.ID))(t) != must(db.DatabasePassword(ctx, pool, s, d.ID))(t) {
		t.Error("the follower has another password than its leader")
	}
	if list := must(db.Followers(ctx, pool, d.ID))(t); len(list) != 1 || list[0].ID != f.ID {
		t.Errorf("followers %+v", list)
	}
	if list := must(db.DatabasesOfApp(ctx, pool, app.ID))(t); len(list) != 2 {
		t.Errorf("of the app %+v", list)
	}
	if n := must(db.DatabaseNames(ctx, pool, []int64{d.ID, f.ID, 99}))(t); len(n) != 2 || n[d.ID] != d.Name {
		t.Errorf("names %v", n)
	}
}

// A name that is taken is tried again without failing the transaction.
func TestTakenDatabaseNameIsTriedAgain(t *testing.T) {
	pool := dbtest.New(t)
	app := dbtest.App(t, pool, "sushi")
	// A rule of the database takes the first three names away.
	_, err := pool.Exec(t.Context(), `
		create sequence tries;
		create function take() returns trigger language plpgsql as $$ begin
			if nextval('tries') <= 3 then
				new.name := 'postgresql-taken-00001';
			end if;
			return new;
		end $$;
		create trigger take before insert on databases for each row execute function take()`)
	noError(t, err)
	makeOne := func() (platform.Database, error) {
		return inTx(t, pool, func(tx pgx.Tx) (platform.Database, error) {
			return db.CreateDatabase(t.Context(), tx, dbtest.Sealer(t), db.NewDatabase{AppID: app.ID, Plan: "standard-0", Major: 15})
		})
	}
	if d := must(makeOne())(t); d.Name != "postgresql-taken-00001" {
		t.Fatalf("made %s", d.Name)
	}
	if d := must(makeOne())(t); d.Name == "postgresql-taken-00001" {
		t.Error("the name was given twice")
	}
	_, err = pool.Exec(t.Context(), `alter sequence tries increment -1; select setval('tries', 2)`)
	noError(t, err)
	_, err = makeOne()
	if err == nil {
		t.Fatal("made one more although every name is taken")
	}
}

func TestDatabaseChanges(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	leader := dbtest.Database(t, pool, app.ID, 20000)
	f := dbtest.Follower(t, pool, leader, app.ID, 20001)
	now := func() platform.Database { return must(db.DatabaseByID(ctx, pool, f.ID))(t) }

	noError(t, db.SetDatabaseReadable(ctx, pool, f.ID))
	first := now().ReadableAt
	noError(t, db.SetDatabaseReadable(ctx, pool, f.ID))
	if first == nil || !first.Equal(*now().ReadableAt) {
		t.Errorf("readable at %v, then at %v", first, now().ReadableAt)
	}
	noError(t, db.SetDatabaseFollowing(ctx, pool, f.ID, leader.ID))
	if now().ReadableAt == nil {
		t.Error("following the same leader again made it unreadable")
	}
	other := dbtest.Database(t, pool, app.ID, 20002)
	noError(t, db.SetDatabaseFollowing(ctx, pool, f.ID, other.ID))
	if d := now(); d.ReadableAt != nil || *d.FollowingID != other.ID {
		t.Errorf("re-pointed %+v", d)
	}
	for range 2 {
		noError(t, db.SetDatabaseUnfollowed(ctx, pool, f.ID))
	}
	if d := now(); d.FollowingID != nil || d.ForkedFromID == nil || *d.ForkedFromID != other.ID || d.ForkReady {
		t.Errorf("unfollowed %+v", d)
	}
	noError(t, db.SetDatabaseForkReady(ctx, pool, f.ID, true))
	noError(t, db.SetDatabaseUnfollowed(ctx, pool, f.ID))
	if !now().ForkReady {
		t.Error("unfollowing nothing changed something")
	}
	noError(t, db.SetDatabaseFenced(ctx, pool, f.ID, true))
	fenced := now()
	noError(t, db.SetDatabaseFenced(ctx, pool, f.ID, true))
	if d := now(); d.State != platform.DatabaseFenced || !d.FencedAt.Equal(*fenced.FencedAt) {
		t.Errorf("fenced %+v", d)
	}
	noError(t, db.SetDatabaseFenced(ctx, pool, f.ID, false))
	if d := now(); d.State != platform.DatabaseAvailable || d.FencedAt != nil {
		t.Errorf("unfenced %+v", d)
	}
	noError(t, db.SetDatabasePlan(ctx, pool, f.ID, "standard-3"))
	noError(t, db.SetDatabaseReplacedBy(ctx, pool, f.ID, &other.ID))
	if d := now(); d.Plan != "standard-3" || *d.ReplacedByID != other.ID {
		t.Errorf("replaced %+v", d)
	}
	noError(t, db.SetDatabaseReplacedBy(ctx, pool, f.ID, nil))
	noError(t, db.SetDatabaseDestroyed(ctx, pool, f.ID))
	gone := now()
	noError(t, db.SetDatabaseDestroyed(ctx, pool, f.ID))
	if gone.State != platform.DatabaseDestroyed || gone.ServerID != nil || gone.ReplacedByID != nil || !now().DestroyedAt.Equal(*gone.DestroyedAt) {
		t.Errorf("destroyed %+v", gone)
	}
	// A retry of the operation that was to make it makes it again.
	noError(t, db.SetDatabaseState(ctx, pool, f.ID, platform.DatabaseCreating))
	if d := now(); d.State != platform.DatabaseCreating || d.DestroyedAt != nil {
		t.Errorf("made again %+v", d)
	}
	wantSentence(t, db.SetDatabaseState(ctx, pool, 99, platform.DatabaseAvailable), platform.KindNotFound, "", "does not exist")
	if err := db.SetDatabaseState(ctx, pool, leader.ID, "confused"); err == nil || platform.KindOf(err) != platform.KindInternal {
		t.Errorf("an unknown state gives %v", err)
	}
}

// What locks a database's row does not keep others from referring to it: two
// transactions that take app and database in different orders both end.
func TestLockedDatabaseCanBeAttached(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	noError(t, db.InTx(ctx, pool, func(first pgx.Tx) error {
		must(db.LockDatabase(ctx, first, d.ID))(t)
		attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: d.ID, Name: "OTHER"})
		_, err := db.Attach(ctx, first, db.NewAttachment{AppID: app.ID, DatabaseID: d.ID, Name: "FIRST"})
		return err
	}))
	// And it does keep a second one of its kind waiting.
	noError(t, db.InTx(ctx, pool, func(first pgx.Tx) error {
		must(db.LockDatabase(ctx, first, d.ID))(t)
		err := db.InTx(ctx, pool, func(second pgx.Tx) error {
			if _, err := second.Exec(ctx, "set local statement_timeout = '50ms'"); err != nil {
				return err
			}
			_, err := db.LockDatabase(ctx, second, d.ID)
			return err
		})
		wantSentence(t, err, platform.KindUnavailable, "", "was stopped")
		return nil
	}))
}

func TestDatabaseChangesTellThePages(t *testing.T) {
	pool := dbtest.New(t)
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	heard := listen(t, pool)
	noError(t, db.SetDatabaseState(t.Context(), pool, d.ID, platform.DatabaseDestroying))
	for _, want := range []string{db.LiveDatabase(d.ID), db.LiveApp(app.ID), db.LiveDatabases} {
		if got := <-heard; got != want {
			t.Errorf("heard %s, want %s", got, want)
		}
	}
}

// listen hears every payload from now on.
func listen(t *testing.T, pool *pgxpool.Pool) <-chan string {
	t.Helper()
	ready, heard := make(chan struct{}), make(chan string, 100)
	go func() { _ = db.Listen(t.Context(), pool, func() { close(ready) }, func(p string) { heard <- p }) }()
	<-ready
	return heard
}
