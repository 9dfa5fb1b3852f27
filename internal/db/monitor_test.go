package db_test

import (
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
)

func TestDeleteOldLagSamples(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	app := dbtest.App(t, pool, "sushi")
	leader := dbtest.Database(t, pool, app.ID, 21001)
	followers := []platform.Database{dbtest.Follower(t, pool, leader, app.ID, 21002), dbtest.Follower(t, pool, leader, app.ID, 21003)}
	now := time.Now()
	var lags []db.FollowerLag
	for _, f := range followers {
		for i := range 10 {
			lags = append(lags, db.FollowerLag{DatabaseID: f.ID, Lag: platform.Lag{Known: true, At: now.Add(-time.Duration(i) * time.Hour)}})
		}
	}
	if err := db.AddLagSamples(ctx, pool, lags); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{8, 6, 0} { // 7 of each follower are older, 4 at once
		n, err := db.DeleteOldLagSamples(ctx, pool, now.Add(-150*time.Minute), 4)
		if err != nil || n != want {
			t.Fatalf("deleted %d, %v; want %d", n, err, want)
		}
	}
	var left int
	if err := pool.QueryRow(ctx, "select count(*) from lag_samples").Scan(&left); err != nil || left != 6 {
		t.Errorf("%d left, %v; want 6", left, err)
	}
}

func TestLastNotice(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 21001)
	if _, found, err := db.LastNotice(ctx, pool, d.ID, platform.NoticeFollowerHeldUp); found || err != nil {
		t.Fatalf("before there is one: %v, %v", found, err)
	}
	for _, kind := range []platform.NoticeKind{platform.NoticeFollowerHeldUp, platform.NoticeFollowerBehind} {
		if _, err := db.CreateNotice(ctx, pool, db.NewNotice{Kind: kind, DatabaseID: &d.ID, Subject: "s", Body: "b"}); err != nil {
			t.Fatal(err)
		}
	}
	at, found, err := db.LastNotice(ctx, pool, d.ID, platform.NoticeFollowerHeldUp)
	if err != nil || !found || time.Since(at) > time.Minute {
		t.Errorf("the last notice: %v, %v, %v", at, found, err)
	}
}
