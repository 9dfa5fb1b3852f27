package db_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

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

func TestListDatabasesIsOneQuery(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	sushi, ramen := dbtest.App(t, pool, "sushi"), dbtest.App(t, pool, "ramen")
	leader := dbtest.Database(t, pool, sushi.ID, 20000)
	one, two := dbtest.Follower(t, pool, leader, sushi.ID, 20001), dbtest.Follower(t, pool, leader, sushi.ID, 20002)
	alone := dbtest.Database(t, pool, ramen.ID, 20003)
	gone := dbtest.Database(t, pool, ramen.ID, 20004)
	noError(t, db.SetDatabaseDestroyed(ctx, pool, gone.ID))
	attach(t, pool, db.NewAttachment{AppID: sushi.ID, DatabaseID: leader.ID, Name: "DATABASE"})
	attach(t, pool, db.NewAttachment{AppID: ramen.ID, DatabaseID: leader.ID, Name: "REPORTING"})
	noError(t, db.SetDatabaseUnfollowed(ctx, pool, alone.ID))
	noError(t, db.SetDatabaseFollowing(ctx, pool, alone.ID, gone.ID))
	noError(t, db.SetDatabaseUnfollowed(ctx, pool, alone.ID))
	noError(t, db.SetDatabaseReplacedBy(ctx, pool, alone.ID, &leader.ID))
	at := time.Now().Truncate(time.Millisecond)
	noError(t, db.SetFacts(ctx, pool, db.Facts{DatabaseID: one.ID, DataBytes: 1 << 30, Tables: 12, Connections: 3, Version: "15.18", InRecovery: true}))
	noError(t, db.SetLags(ctx, pool, []db.FollowerLag{{DatabaseID: one.ID, Lag: platform.Lag{At: at, Known: true, Commits: 7, Bytes: 800, Seconds: 0.5}}}))
	op := operation(t, pool, platform.Unfollow, two.ID)
	_, err := pool.Exec(ctx, `update operation_steps set state = 'running' where operation_id = $1 and name = 'two'`, op)
	noError(t, err)

	q, counter := counted(t, pool)
	list := must(db.ListDatabases(ctx, q, db.DatabaseFilter{}))(t)
	if counter.n.Load() != 1 {
		t.Errorf("%d queries", counter.n.Load())
	}
	var order []int64
	byID := map[int64]db.DatabaseListRow{}
	for _, r := range list {
		order = append(order, r.Database.ID)
		byID[r.Database.ID] = r
	}
	if len(order) != 4 || order[0] != alone.ID || order[1] != leader.ID {
		t.Errorf("order %v", order)
	}
	l := byID[leader.ID]
	if l.FollowerCount != 2 || l.LeaderName != "" || l.Zone != "a" || l.Operation != nil || l.Reading.Known ||
		!slices.Equal(l.Attachments, []string{"ramen::REPORTING", "sushi::DATABASE"}) || !same(l.Database, leader) {
		t.Errorf("leader %+v", l)
	}
	if r := byID[alone.ID]; r.ReplacedBy != leader.Name || r.ForkedFrom != gone.Name {
		t.Errorf("replaced %+v", r)
	}
	f := byID[one.ID]
	if f.LeaderName != leader.Name || f.FollowerCount != 0 || !f.Reading.Known || f.Reading.DataBytes != 1<<30 ||
		f.Reading.Lag.Commits != 7 || !f.Reading.Lag.At.Equal(at) || !f.Reading.Lag.CaughtUp() || len(f.Attachments) != 0 {
		t.Errorf("follower %+v", f)
	}
	if o := byID[two.ID].Operation; o == nil || *o != (db.OpenOperation{ID: op, Kind: platform.Unfollow, State: platform.OperationRunning, Step: "two"}) {
		t.Errorf("operation %+v", o)
	}

	for _, c := range []struct {
		f    db.DatabaseFilter
		want int
	}{
		{db.DatabaseFilter{AppID: sushi.ID}, 3},
		{db.DatabaseFilter{AppID: ramen.ID}, 2}, // its own, and the one attached to it
		{db.DatabaseFilter{Text: "SUSH"}, 3},
		{db.DatabaseFilter{Text: "%"}, 0},
		{db.DatabaseFilter{Text: alone.Name}, 1},
		{db.DatabaseFilter{Destroyed: true}, 5},
		{db.DatabaseFilter{Name: gone.Name}, 1},
		{db.DatabaseFilter{Limit: 2}, 2},
	} {
		if got := must(db.ListDatabases(ctx, pool, c.f))(t); len(got) != c.want {
			t.Errorf("%+v gives %d, want %d", c.f, len(got), c.want)
		}
	}
}

// The page with 500 databases has 50 ms in all; its one query gets a part of it.
func TestListOf500DatabasesIsFast(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	_, err := pool.Exec(ctx, `
		insert into databases (name, app_id, plan, state, major, database_name, role_name, password_sealed, following_id)
			select 'postgresql-many-' || n, $1, 'standard-0', 'available', 15, 'd', 'r', '', case when n % 2 = 0 then $2::bigint end
			from generate_series(1, 499) n;`, app.ID, d.ID)
	noError(t, err)
	_, err = pool.Exec(ctx, `insert into readings (database_id, answers) select id, true from databases`)
	noError(t, err)
	_, err = pool.Exec(ctx, `analyze`)
	noError(t, err)
	best := time.Hour
	for range 10 {
		begun := time.Now()
		if n := len(must(db.ListDatabases(ctx, pool, db.DatabaseFilter{}))(t)); n != 500 {
			t.Fatalf("%d databases", n)
		}
		best = min(best, time.Since(begun))
	}
	t.Logf("500 databases in %v", best)
	if best > 50*time.Millisecond {
		t.Errorf("500 databases took %v at best", best)
	}
}

func TestListRunning(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	leader := dbtest.Database(t, pool, app.ID, 20000)
	f := dbtest.Follower(t, pool, leader, app.ID, 20001)
	stopped := dbtest.Database(t, pool, app.ID, 20002)
	noError(t, db.SetServerState(ctx, pool, *stopped.ServerID, platform.ServerStopped))
	q, counter := counted(t, pool)
	list := must(db.ListRunning(ctx, q))(t)
	if counter.n.Load() != 1 || len(list) != 2 || !same(list[0].Database, leader) || !same(list[1].Database, f) {
		t.Errorf("%d queries, %+v", counter.n.Load(), list)
	}
	if v := list[1].Server; !same(v, must(db.ServerOf(ctx, pool, f.ID))(t)) || *v.LeaderID != *leader.ServerID {
		t.Errorf("server %+v", v)
	}
}

func TestServers(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	leader := dbtest.Database(t, pool, app.ID, 20000)
	f := dbtest.Follower(t, pool, leader, app.ID, 20001)
	v := must(db.ServerOf(ctx, pool, f.ID))(t)
	now := func() platform.Server { return must(db.ServerByID(ctx, pool, v.ID))(t) }

	taken := func(tx pgx.Tx) (map[int]bool, error) { return db.TakenPorts(ctx, tx) }
	if got := must(inTx(t, pool, taken))(t); fmt.Sprint(got) != "map[20000:true 20001:true]" {
		t.Errorf("taken %v", got)
	}
	// A taken port leaves the transaction usable.
	next := must(inTx(t, pool, func(tx pgx.Tx) (platform.Server, error) {
		n := db.NewServer{DatabaseID: f.ID, Zone: "a", Port: 20001, Major: 15, Plan: "standard-0"}
		_, err := db.CreateServer(ctx, tx, n)
		wantSentence(t, err, platform.KindConflict, "port", "Port 20001")
		n.Port++
		return db.CreateServer(ctx, tx, n)
	}))(t)
	if next.Port != 20002 || next.State != platform.ServerMaking || next.Fenced {
		t.Errorf("made %+v", next)
	}
	if list := must(db.ServersOf(ctx, pool, f.ID))(t); len(list) != 2 || list[0].ID != v.ID {
		t.Errorf("of the database %+v", list)
	}
	if list := must(db.ServersFollowing(ctx, pool, *leader.ServerID))(t); len(list) != 1 || list[0].ID != v.ID {
		t.Errorf("following %+v", list)
	}
	noError(t, db.SetServerFenced(ctx, pool, v.ID, true))
	if s := now(); !s.Fenced || s.LeaderID != nil {
		t.Errorf("fenced %+v", s)
	}
	noError(t, db.SetServerFenced(ctx, pool, v.ID, false))
	noError(t, db.SetServerLeader(ctx, pool, v.ID, leader.ServerID))
	noError(t, db.SetServerPlan(ctx, pool, v.ID, "standard-2"))
	if s := now(); s.Fenced || *s.LeaderID != *leader.ServerID || s.Plan != "standard-2" {
		t.Errorf("changed %+v", s)
	}
	for range 2 {
		noError(t, db.SetServerDestroyed(ctx, pool, v.ID))
	}
	if s := now(); s.State != platform.ServerDestroyed || s.DestroyedAt == nil {
		t.Errorf("destroyed %+v", s)
	}
	wantSentence(t, db.SetServerState(ctx, pool, v.ID, platform.ServerRunning), platform.KindNotFound, "", "server does not exist")
	if list := must(db.ListServers(ctx, pool))(t); len(list) != 2 {
		t.Errorf("left %+v", list)
	}
	// The port is free again.
	again, err := db.CreateServer(ctx, pool, db.NewServer{DatabaseID: f.ID, Zone: "a", Port: 20001, Major: 15, Plan: "standard-0"})
	if noError(t, err); again.ID == v.ID {
		t.Error("the old server came back")
	}
	fresh := must(db.CreateDatabase(ctx, pool, dbtest.Sealer(t), db.NewDatabase{AppID: app.ID, Plan: "standard-0", Major: 15}))(t)
	_, err = db.ServerOf(ctx, pool, fresh.ID)
	wantSentence(t, err, platform.KindNotFound, "", "no server yet")
}

// Two that choose a port at once get different ones.
func TestPortsAreChosenInTurn(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	d := dbtest.Database(t, pool, dbtest.App(t, pool, "sushi").ID, 20000)
	const makers = 8
	errs := make(chan error, makers)
	for range makers {
		go func() {
			errs <- db.InTx(ctx, pool, func(tx pgx.Tx) error {
				taken, err := db.TakenPorts(ctx, tx)
				if err != nil {
					return err
				}
				port := 20000
				for taken[port] {
					port++
				}
				_, err = db.CreateServer(ctx, tx, db.NewServer{DatabaseID: d.ID, Zone: "a", Port: port, Major: 15, Plan: "standard-0"})
				return err
			})
		}()
	}
	for range makers {
		noError(t, <-errs)
	}
	if n := len(must(db.ListServers(ctx, pool))(t)); n != makers+1 {
		t.Errorf("%d servers", n)
	}
}
