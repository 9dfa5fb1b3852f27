package db_test

import (
	"math"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
)

func TestReadings(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	now := func() db.Reading { return must(db.ReadingOf(ctx, pool, d.ID))(t) }
	if r := now(); r != (db.Reading{}) {
		t.Errorf("never read: %+v", r)
	}
	heard := listen(t, pool)
	noError(t, db.SetFacts(ctx, pool, db.Facts{DatabaseID: d.ID, DataBytes: 5 << 30, Tables: 3, Connections: 17, Version: "15.18", CommitsPerS: 1.5, WALBytesPerS: 2.5, InRecovery: true}))
	if got := <-heard; got != db.LiveDatabase(d.ID) {
		t.Errorf("heard %s", got)
	}
	r := now()
	if !r.Known || !r.Answers || r.DataBytes != 5<<30 || r.Tables != 3 || r.Connections != 17 || r.Version != "15.18" ||
		r.CommitsPerS != 1.5 || r.WALBytesPerS != 2.5 || !r.InRecovery || r.At.IsZero() || !r.Lag.At.IsZero() {
		t.Errorf("read %+v", r)
	}
	noError(t, db.SetUnanswered(ctx, pool, d.ID, "connection refused"))
	first := now()
	noError(t, db.SetUnanswered(ctx, pool, d.ID, "still refused"))
	r = now()
	if r.Answers || r.Problem != "still refused" || r.UnansweredSince == nil || !r.UnansweredSince.Equal(*first.UnansweredSince) || r.DataBytes != 5<<30 {
		t.Errorf("unanswered %+v", r)
	}
	noError(t, db.SetFacts(ctx, pool, db.Facts{DatabaseID: d.ID}))
	if r := now(); !r.Answers || r.UnansweredSince != nil || r.Problem != "" {
		t.Errorf("answers again %+v", r)
	}
	noError(t, db.SetCopyProgress(ctx, pool, d.ID, 10, 100))
	if r := now(); r.CopiedBytes != 10 || r.CopyTotalBytes != 100 {
		t.Errorf("copying %+v", r)
	}
	fresh := dbtest.Follower(t, pool, d, app.ID, 20001)
	noError(t, db.SetCopyProgress(ctx, pool, fresh.ID, 1, 2))
	if r := must(db.ReadingOf(ctx, pool, fresh.ID))(t); r.Answers || r.CopiedBytes != 1 {
		t.Errorf("a first copy %+v", r)
	}
}

func TestUnknownLagKeepsItsLastFigures(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	one, two := dbtest.Follower(t, pool, d, app.ID, 20001), dbtest.Follower(t, pool, d, app.ID, 20002)
	lag := func(id int64) platform.Lag { return must(db.ReadingOf(ctx, pool, id))(t).Lag }
	begun := time.Date(2026, 1, 20, 14, 3, 0, 0, time.UTC)

	noError(t, db.SetLags(ctx, pool, nil))
	q, counter := counted(t, pool)
	known := platform.Lag{At: begun, Known: true, Commits: 5, Bytes: 600, Seconds: 0.7}
	noError(t, db.SetLags(ctx, q, []db.FollowerLag{{DatabaseID: one.ID, Lag: known}, {DatabaseID: two.ID, Lag: platform.Lag{At: begun}}}))
	if counter.n.Load() != 1 {
		t.Errorf("%d queries for two followers", counter.n.Load())
	}
	if got := lag(one.ID); got != known {
		t.Errorf("known %+v", got)
	}
	if got := lag(two.ID); got.Known || !got.Since.Equal(begun) {
		t.Errorf("never known %+v", got)
	}
	for i := range 3 {
		noError(t, db.SetLags(ctx, pool, []db.FollowerLag{{DatabaseID: one.ID, Lag: platform.Lag{At: begun.Add(time.Duration(i+1) * time.Second)}}}))
		want := known
		want.Known, want.Since = false, begun
		if got := lag(one.ID); got != want {
			t.Errorf("unknown %+v, want %+v", got, want)
		}
	}
	given := begun.Add(-time.Minute)
	noError(t, db.SetLags(ctx, pool, []db.FollowerLag{{DatabaseID: one.ID, Lag: platform.Lag{At: begun, Since: given}}}))
	if got := lag(one.ID); !got.Since.Equal(given) {
		t.Errorf("since %v, want %v", got.Since, given)
	}
	known.At = begun.Add(time.Minute)
	noError(t, db.SetLags(ctx, pool, []db.FollowerLag{{DatabaseID: one.ID, Lag: known}}))
	if got := lag(one.ID); got != known {
		t.Errorf("known again %+v", got)
	}
}

func TestLagSamples(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	begun := time.Date(2026, 1, 20, 14, 0, 0, 0, time.UTC)
	var lags []db.FollowerLag
	for i := range 1000 {
		lags = append(lags, db.FollowerLag{DatabaseID: d.ID, Lag: platform.Lag{
			At: begun.Add(time.Duration(i) * time.Second), Known: i != 999, Commits: int64(i % 100), Bytes: int64(i), Seconds: float64(i) / 10,
		}})
	}
	for range 2 { // the second time all of them are there
		noError(t, db.AddLagSamples(ctx, pool, lags))
	}
	noError(t, db.AddLagSamples(ctx, pool, nil))
	end := begun.Add(1000 * time.Second)
	samples := func(from, to time.Time, points int) []platform.Lag {
		return must(db.LagSamples(ctx, pool, []int64{d.ID}, from, to, points))(t)[d.ID]
	}
	if all := samples(begun, end, 5000); len(all) != 999 || !all[0].At.Equal(begun) || !all[0].Known {
		t.Fatalf("%d samples", len(all))
	}
	few := samples(begun, end, 80) // of 12.5 seconds: narrower than any stretch that is kept
	if len(few) != 80 {
		t.Fatalf("%d points of 80", len(few))
	}
	for i, p := range few {
		last := min(int64(math.Ceil(float64(i+1)*12.5))-1, 998)
		most := last % 100
		if first := int64(math.Ceil(float64(i) * 12.5)); first/100 < last/100 {
			most = 99
		}
		if want := (platform.Lag{At: begun.Add(time.Duration(last) * time.Second), Known: true, Commits: most, Bytes: last, Seconds: float64(last) / 10}); p != want {
			t.Errorf("point %d is %+v, want %+v", i, p, want)
		}
	}
	if n := len(samples(end, begun, 10)) + len(samples(begun, end, 0)); n != 0 {
		t.Errorf("%d samples of nothing", n)
	}
}
