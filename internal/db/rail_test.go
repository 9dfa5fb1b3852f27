package db_test

import (
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
)

func TestRail(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	chef, waiter := dbtest.User(t, pool, "chef@example.com"), dbtest.User(t, pool, "waiter@example.com")
	rail := func(u db.User) db.Rail { return must(db.RailOf(ctx, pool, u.ID, platform.Everything()))(t) }
	if r := rail(chef); r.Apps != 0 || r.Databases != 0 || r.UnreadNotices != 0 || len(r.Running) != 0 {
		t.Errorf("empty: %+v", r)
	}
	app := dbtest.App(t, pool, "sushi")
	d, gone := dbtest.Database(t, pool, app.ID, 20000), dbtest.Database(t, pool, app.ID, 20001)
	noError(t, db.SetDatabaseDestroyed(ctx, pool, gone.ID))
	id := must(db.CreateNotice(ctx, pool, db.NewNotice{Kind: platform.NoticeFenced, Subject: "s", Body: "b"}))(t)
	must(db.CreateNotice(ctx, pool, db.NewNotice{Kind: platform.NoticeFenced, Subject: "s", Body: "b"}))(t)
	noError(t, db.SetNoticeRead(ctx, pool, chef.ID, id, true))
	op := operation(t, pool, platform.Unfollow, d.ID)
	if r := rail(chef); len(r.Running) != 1 || r.Running[0].Step != 0 || r.Running[0].Steps != 2 {
		t.Errorf("not begun: %+v", r)
	}
	_, err := pool.Exec(ctx, `update operation_steps set state = 'running', detail = '3 MB behind' where operation_id = $1 and name = 'one'`, op)
	noError(t, err)

	q, counter := counted(t, pool)
	r := must(db.RailOf(ctx, q, chef.ID, platform.Everything()))(t)
	if counter.n.Load() != 1 {
		t.Errorf("%d queries", counter.n.Load())
	}
	if r.Apps != 1 || r.Databases != 1 || r.UnreadNotices != 1 || len(r.Running) != 1 {
		t.Fatalf("the chef's %+v", r)
	}
	want := db.RunningOperation{ID: op, Kind: platform.Unfollow, State: platform.OperationRunning, DatabaseName: d.Name, StepDetail: "3 MB behind", Step: 1, Steps: 2}
	if r.Running[0] != want {
		t.Errorf("running %+v, want %+v", r.Running[0], want)
	}
	if r := rail(waiter); r.UnreadNotices != 2 {
		t.Errorf("the waiter's %+v", r)
	}
	_, err = pool.Exec(ctx, `update operations set state = 'completed' where id = $1`, op)
	noError(t, err)
	if r := rail(chef); len(r.Running) != 0 {
		t.Errorf("ended: %+v", r)
	}
}
