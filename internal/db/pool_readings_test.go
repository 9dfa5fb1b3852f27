package db_test

import (
	"fmt"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// A pool that does not answer keeps its last figures, and since when; it never
// shows zeros as if it had answered them.
func TestPoolReading(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	leader := dbtest.Database(t, pool, app.ID, 20000)
	made := attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: leader.ID, Name: "POOL", Pool: &db.NewPool{Port: 20005, Verifier: "v"}})
	id := *made.PoolID
	read := func() db.PoolReading {
		t.Helper()
		r, ok, err := db.PoolReadingOf(ctx, pool, id)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return r
	}
	if _, ok, err := db.PoolReadingOf(ctx, pool, id); ok || err != nil {
		t.Fatalf("a reading before the first look: %v %v", ok, err)
	}
	first := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	noError(t, db.SetPoolUnanswered(ctx, pool, id, first, "It is away."))
	noError(t, db.SetPoolUnanswered(ctx, pool, id, time.Now(), "It is still away."))
	if r := read(); r.Known() || r.At != nil || !r.UnansweredSince.Equal(first) || r.Problem != "It is still away." {
		t.Errorf("never answered: %+v", r)
	}
	at := time.Now().Truncate(time.Millisecond)
	noError(t, db.SetPoolReading(ctx, pool, db.PoolReading{PoolID: id, At: &at, ClientsActive: 7, ClientsWaiting: 2, ServersUsed: 5, Size: 30, LongestWaitMS: 12.5, Held: true}))
	if r := read(); !r.Known() || r.ClientsActive != 7 || r.ClientsWaiting != 2 || r.ServersUsed != 5 || r.Size != 30 || r.LongestWaitMS != 12.5 || !r.Held || r.Problem != "" {
		t.Errorf("answered: %+v", r)
	}
	noError(t, db.SetPoolUnanswered(ctx, pool, id, time.Now(), "Away again."))
	if r := read(); r.Known() || !r.At.Equal(at) || r.ClientsActive != 7 {
		t.Errorf("away again: %+v", r)
	}

	// Of each stretch of time the worst; what is old is forgotten.
	for i, wait := range []float64{1, 250, 3, 4} {
		noError(t, db.AddPoolSample(ctx, pool, db.PoolSample{PoolID: id, At: at.Add(time.Duration(i-60) * time.Second), WaitMS: wait, ClientsActive: i}))
	}
	samples := must(db.PoolSamples(ctx, pool, id, at.Add(-61*time.Second), at, 2))(t)
	if len(samples) != 1 || samples[0].WaitMS != 250 || samples[0].ClientsActive != 3 {
		t.Errorf("samples %+v", samples)
	}
	if n := must(db.DeleteOldPoolSamples(ctx, pool, at.Add(-58*time.Second), 100))(t); n != 2 {
		t.Errorf("%d forgotten, want 2", n)
	}

	// A pool that is gone takes no more.
	must(inTx(t, pool, func(tx pgx.Tx) (platform.Release, error) { return db.Detach(ctx, tx, made.ID, "chef", nil) }))(t)
	noError(t, db.SetPoolRemoved(ctx, pool, id, time.Now()))
	noError(t, db.AddPoolSample(ctx, pool, db.PoolSample{PoolID: id, At: time.Now()}))
	if left := must(db.PoolSamples(ctx, pool, id, at, time.Now().Add(time.Minute), 10))(t); len(left) != 0 {
		t.Errorf("a removed pool got samples: %+v", left)
	}
}

// The plot of a pool marks the switches in which its own clients were held.
func TestPoolHolds(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	old := dbtest.Database(t, pool, app.ID, 20000)
	follower := dbtest.Follower(t, pool, old, app.ID, 20001)
	attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: follower.ID, Name: platform.PoolAttachment, Pool: &db.NewPool{Port: 20005, Verifier: "v"}})
	attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: follower.ID, Name: "LED_LATER", Pool: &db.NewPool{Port: 20006, Verifier: "v"}})
	attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: old.ID, Name: "STAYED", Pool: &db.NewPool{Port: 20007, Verifier: "v"}})
	must(pool.Exec(ctx, `update attachments set created_at = now() - interval '1 day'`))(t)
	held := func(kind platform.OperationKind, it platform.Database, target *int64, ms float64) {
		t.Helper()
		must(inTx(t, pool, func(tx pgx.Tx) (int64, error) {
			op, err := db.InsertOperation(ctx, tx, db.NewOperation{Kind: kind, DatabaseID: it.ID, TargetID: target, AppID: &app.ID, RequestedBy: "chef", StepNames: []string{"check"}})
			if err != nil {
				return 0, err
			}
			if err := db.InsertChangeover(ctx, tx, op.ID, false, true); err != nil {
				return 0, err
			}
			_, err = tx.Exec(ctx, `update changeovers set refused_at = now(), held_ms = $2 where operation_id = $1`, op.ID, ms)
			if err == nil {
				_, err = tx.Exec(ctx, `delete from operation_claims where operation_id = $1`, op.ID)
			}
			if err == nil {
				_, err = tx.Exec(ctx, `update operations set state = 'completed', ended_at = now() where id = $1`, op.ID)
			}
			return op.ID, err
		}))(t)
	}
	held(platform.FollowerChangeover, old, &follower.ID, 100)
	held(platform.SwitchBack, follower, nil, 200)
	got := map[string][]float64{}
	for _, id := range []int64{old.ID, follower.ID} {
		for _, a := range must(db.AttachmentsOfDatabase(ctx, pool, id))(t) {
			for _, h := range must(db.PoolHolds(ctx, pool, a, time.Now().Add(-time.Hour)))(t) {
				got[a.Name] = append(got[a.Name], h.HeldMS)
			}
		}
	}
	if fmt.Sprint(got) != "map[DATABASE_CONNECTION_POOL:[100 200] LED_LATER:[200]]" {
		t.Errorf("held: %v", got)
	}
}

// A pool that stayed with the old leader is led to the new one, once, with one
// release; its URL stays.
func TestLeadPool(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	old := dbtest.Database(t, pool, app.ID, 20000)
	follower := dbtest.Follower(t, pool, old, app.ID, 20001)
	direct := attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: old.ID, Name: "DATABASE"})
	reports := attach(t, pool, db.NewAttachment{AppID: app.ID, DatabaseID: old.ID, Name: "REPORTS", Pool: &db.NewPool{Port: 20006, Verifier: "v"}})
	lead := func(id int64) (platform.Attachment, error) {
		return inTx(t, pool, func(tx pgx.Tx) (platform.Attachment, error) { return db.LeadPool(ctx, tx, id, "chef") })
	}
	_, err := lead(reports.ID)
	wantSentence(t, err, platform.KindConflict, "", "No other database has taken the place")
	noError(t, db.SetDatabaseReplacedBy(ctx, pool, old.ID, &follower.ID))
	_, err = lead(reports.ID)
	wantSentence(t, err, platform.KindConflict, "name", "still a follower")
	noError(t, db.SetDatabaseUnfollowed(ctx, pool, follower.ID))
	_, err = lead(direct.ID)
	wantSentence(t, err, platform.KindConflict, "", "does not go through a connection pool")

	moved := must(lead(reports.ID))(t)
	if moved.DatabaseID != follower.ID || moved.PoolPort != 20006 || *moved.PoolID != *reports.PoolID {
		t.Errorf("moved %+v", moved)
	}
	if got := portOf(t, pool, app.ID, "REPORTS_URL"); got != "20006" {
		t.Errorf("its URL leads to port %s", got)
	}
	releases := must(db.ListReleases(ctx, pool, app.ID, 10))(t)
	if releases[0].Description != "Lead REPORTS to "+follower.Name || releases[0].Actor != "chef" {
		t.Errorf("release %+v", releases[0])
	}
	_, err = lead(reports.ID) // there is nowhere further to go
	wantSentence(t, err, platform.KindConflict, "", "No other database has taken the place")
}
