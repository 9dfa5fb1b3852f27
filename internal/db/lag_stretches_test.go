package db_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
)

// A plot that reads stretches of time shows the figures of the samples: none is
// lost at an edge, none is shown that is not in its time, and of each point the
// worst is kept, at the moment of its last sample.
func TestLagSamplesOfADayAreThoseOfEachSecond(t *testing.T) {
	pool, ctx := dbtest.New(t), t.Context()
	app := dbtest.App(t, pool, "sushi")
	leader := dbtest.Database(t, pool, app.ID, 21001)
	one, other := dbtest.Follower(t, pool, leader, app.ID, 21002), dbtest.Follower(t, pool, leader, app.ID, 21003)
	random := rand.New(rand.NewPCG(7, 11))
	end := time.Date(2026, 11, 28, 6, 17, 42, 123_456_000, time.UTC)
	raw := map[int64][]platform.Lag{}
	for _, f := range []platform.Database{one, other} {
		var lags []db.FollowerLag
		// Half a minute more than a day at either end, with holes in it.
		for at := end.Add(-24*time.Hour - 30*time.Second); at.Before(end.Add(30 * time.Second)); at = at.Add(3*time.Second + time.Duration(random.IntN(int(4*time.Second/time.Microsecond)))*time.Microsecond) {
			if hour := at.Hour(); hour == 3 || hour == 4 && f.ID == one.ID {
				continue
			}
			lag := platform.Lag{At: at, Known: true, Commits: random.Int64N(5000), Bytes: random.Int64N(1 << 30), Seconds: float64(random.IntN(9000)) / 8}
			lags, raw[f.ID] = append(lags, db.FollowerLag{DatabaseID: f.ID, Lag: lag}), append(raw[f.ID], lag)
		}
		random.Shuffle(len(lags), func(i, j int) { lags[i], lags[j] = lags[j], lags[i] }) // whatever the order
		for some := range slices.Chunk(lags, 1+len(lags)/7) {
			noError(t, db.AddLagSamples(ctx, pool, some))
		}
	}
	for _, span := range []time.Duration{time.Minute, time.Hour, 6 * time.Hour, 23*time.Hour + 59*time.Minute, 24 * time.Hour} {
		for _, to := range []time.Time{end, end.Truncate(6 * time.Minute), end.Truncate(15 * time.Second), end.Add(-7 * time.Second)} {
			t.Run(fmt.Sprint(span, " until ", to.Format(time.TimeOnly)), func(t *testing.T) {
				from := to.Add(-span)
				if from.Before(end.Add(-24 * time.Hour)) {
					from = end.Add(-24 * time.Hour)
				}
				got := must(db.LagSamples(ctx, pool, []int64{one.ID, other.ID}, from, to, 240))(t)
				if len(got) != 2 {
					t.Fatalf("lists of %d followers, want 2", len(got))
				}
				for id, list := range raw {
					if want := worstOf(list, from, to, 240); !slices.Equal(got[id], want) {
						t.Errorf("database %d: %s", id, firstDifference(got[id], want))
					}
				}
			})
		}
	}
}

// worstOf is what the plot shows of samples, worked out one by one.
func worstOf(samples []platform.Lag, from, to time.Time, points int) []platform.Lag {
	width, begin := time.Duration(0), from
	for _, w := range []time.Duration{15 * time.Second, 6 * time.Minute} {
		if to.Sub(from) >= w*time.Duration(points) {
			width = w
		}
	}
	each := float64(to.Sub(from)) / float64(points)
	if width > 0 {
		// Points begin with a stretch that is there as a whole; what is before it is
		// part of the first point.
		begin = from.Truncate(width)
		if begin.Before(from) {
			begin = begin.Add(width)
		}
		each = math.Ceil(each/float64(width)) * float64(width)
	}
	of := map[int]platform.Lag{}
	for _, s := range samples {
		if s.At.Before(from) || !s.At.Before(to) {
			continue
		}
		i := max(0, int(math.Floor(float64(s.At.Sub(begin))/each)))
		worst := platform.Lag{At: s.At, Known: true, Commits: s.Commits, Bytes: s.Bytes, Seconds: s.Seconds}
		if before, ok := of[i]; ok {
			worst.Commits, worst.Bytes, worst.Seconds = max(worst.Commits, before.Commits), max(worst.Bytes, before.Bytes), max(worst.Seconds, before.Seconds)
			if before.At.After(worst.At) {
				worst.At = before.At
			}
		}
		of[i] = worst
	}
	var list []platform.Lag
	for i := range points {
		if s, ok := of[i]; ok {
			list = append(list, s)
		}
	}
	return list
}

func firstDifference(got, want []platform.Lag) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("point %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	return fmt.Sprintf("%d points, want %d", len(got), len(want))
}

// The migration fills the stretches as they would have been written, from the
// samples that are there.
func TestLagStretchesAreFilledFromSamples(t *testing.T) {
	pool, ctx := dbtest.Open(t, dbtest.EmptyURL(t)), t.Context()
	list, err := db.Migrations()
	noError(t, err)
	before := slices.IndexFunc(list, func(m db.Migration) bool { return m.Name == "page_speed" })
	noError(t, db.MigrateTo(ctx, pool, list[:before]))
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 21001)
	var lags []db.FollowerLag
	for i := range 5000 {
		lag := platform.Lag{At: time.Unix(1_800_000_007+int64(i), 0), Known: true, Commits: int64(i * 7919 % 1009), Bytes: int64(i), Seconds: float64(i % 31)}
		lags = append(lags, db.FollowerLag{DatabaseID: d.ID, Lag: lag})
		_, err := pool.Exec(ctx, "insert into lag_samples values ($1, $2, $3, $4, $5)", d.ID, lag.At, lag.Commits, lag.Bytes, lag.Seconds)
		noError(t, err)
	}
	noError(t, db.Migrate(ctx, pool))
	_, err = pool.Exec(ctx, "create table filled as table lag_stretches; delete from lag_stretches; delete from lag_samples")
	noError(t, err)
	noError(t, db.AddLagSamples(ctx, pool, lags))
	var filled, differ int
	noError(t, pool.QueryRow(ctx, `select (select count(*) from filled), count(*) from (
		(table filled except table lag_stretches) union all (table lag_stretches except table filled)) d`).Scan(&filled, &differ))
	if filled < 5000/15+5000/360 || differ != 0 {
		t.Errorf("%d stretches were filled, %d differ from what is written with the samples", filled, differ)
	}
}
