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
	// 7 of each follower are older, 4 at once, and as many short stretches; the
	// long ones stay.
	for _, want := range []int64{16, 12, 0} {
		n, err := db.DeleteOldLagSamples(ctx, pool, now.Add(-150*time.Minute), 4)
		if err != nil || n != want {
			t.Fatalf("deleted %d, %v; want %d", n, err, want)
		}
	}
	left := func() (samples, short, long int) {
		err := pool.QueryRow(ctx, `select (select count(*) from lag_samples), count(*) filter (where width = 15), count(*) filter (where width = 360)
			from lag_stretches`).Scan(&samples, &short, &long)
		if err != nil {
			t.Fatal(err)
		}
		return samples, short, long
	}
	if samples, short, long := left(); samples != 6 || short != 6 || long != 20 {
		t.Errorf("%d samples are left with %d short and %d long stretches, want 6, 6 and 20", samples, short, long)
	}
	// A plot of 7 days shows the long ones, until no plot does.
	for range 4 {
		if _, err := db.DeleteOldLagSamples(ctx, pool, now.AddDate(0, 0, db.LagDays).Add(-150*time.Minute), 4); err != nil {
			t.Fatal(err)
		}
	}
	if samples, short, long := left(); samples != 0 || short != 0 || long != 6 {
		t.Errorf("%d samples are left with %d short and %d long stretches, want 0, 0 and 6", samples, short, long)
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
