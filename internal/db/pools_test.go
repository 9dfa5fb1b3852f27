package db_test

import (
	"net/url"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func portOf(t *testing.T, pool *pgxpool.Pool, appID int64, name string) string {
	t.Helper()
	v := must(db.ConfigVar(t.Context(), pool, dbtest.Sealer(t), "127.0.0.1", appID, name))(t)
	return must(url.Parse(v.Value))(t).Port()
}

// A pool's port is its attachment's for life: the URL stays when the database
// behind it changes, and the port is free only when the pool is removed.
func TestPoolAttachment(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	leader := dbtest.Database(t, pool, app.ID, 20000)
	follower := dbtest.Follower(t, pool, leader, app.ID, 20001)
	attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: leader.ID, Name: "DATABASE"})
	_, err := tryAttach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: leader.ID, Name: "DATABASE", Pool: &db.NewPool{Port: 20005, Verifier: "v"}})
	wantSentence(t, err, platform.KindConflict, "name", "Choose another name for its connection pool")
	main := attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: leader.ID, Name: platform.PoolAttachment, Pool: &db.NewPool{Port: 20005, Verifier: "v"}})
	reports := attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: leader.ID, Name: "REPORTS", Pool: &db.NewPool{Port: 20006, Verifier: "v"}})
	if !main.IsPooled() || main.PoolPort != 20005 {
		t.Fatalf("attached %+v", main)
	}
	if got := portOf(t, pool, app.ID, "DATABASE_CONNECTION_POOL_URL"); got != "20005" {
		t.Errorf("its URL leads to %s", got)
	}
	_, err = tryAttach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: leader.ID, Name: "OTHER", Pool: &db.NewPool{Port: 20006, Verifier: "v"}})
	wantSentence(t, err, platform.KindConflict, "port", "Port 20006 belongs to another connection pool")
	taken := must(inTx(t, pool, func(tx pgx.Tx) (map[int]bool, error) { return db.TakenPorts(ctx, tx) }))(t)
	if !taken[20000] || !taken[20005] || !taken[20006] {
		t.Errorf("taken: %v", taken)
	}

	// Promotion: the default name moves along, the other stays; neither URL changes.
	noError(t, db.SetDatabaseUnfollowed(ctx, pool, follower.ID))
	done := must(promote(t, pool, db.Promotion{AppID: app.ID, DatabaseID: follower.ID, Actor: "chef"}))(t)
	if done.Old == nil || done.Old.IsPooled() {
		t.Errorf("the old database is kept under %+v, a connection pool", done.Old)
	}
	where := map[string]int64{}
	for _, p := range must(db.Pools(ctx, pool))(t) {
		where[p.Name] = *p.DatabaseID
	}
	if where[platform.PoolAttachment] != follower.ID || where["REPORTS"] != leader.ID {
		t.Errorf("pools lead to %v", where)
	}
	if got := portOf(t, pool, app.ID, "DATABASE_CONNECTION_POOL_URL") + " " + portOf(t, pool, app.ID, "REPORTS_URL"); got != "20005 20006" {
		t.Errorf("ports %s", got)
	}

	// Detached, the pool is there until it is removed, and its port with it.
	must(inTx(t, pool, func(tx pgx.Tx) (platform.Release, error) { return db.Detach(ctx, tx, reports.ID, "chef", nil) }))(t)
	list := must(db.Pools(ctx, pool))(t)
	if len(list) != 2 || list[1].AttachmentID != nil || list[1].Port != 20006 {
		t.Fatalf("pools %+v", list)
	}
	noError(t, db.SetPoolRemoved(ctx, pool, list[1].ID, time.Now()))
	if left := must(db.Pools(ctx, pool))(t); len(left) != 1 {
		t.Errorf("left %+v", left)
	}
}
