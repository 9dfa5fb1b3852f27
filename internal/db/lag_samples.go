package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// lagWidths are the stretches of time over which the worst lag is kept beside
// the samples, in seconds: those of a plot of an hour, and of a day, in 240
// points. The migration that fills the table has them, too.
var lagWidths = []int{15, 360}

// LagDays is how many days the widest stretches are kept, longer than samples.
const LagDays = 8

// AddLagSamples keeps known lags for the plot, in one statement; unknown ones
// are left out, so that a gap stays a gap.
func AddLagSamples(ctx context.Context, q Querier, lags []FollowerLag) error {
	var ids, commits, bytes []int64
	var ats []time.Time
	var seconds []float64
	for _, l := range lags {
		if !l.Lag.Known {
			continue
		}
		ids, ats, seconds = append(ids, l.DatabaseID), append(ats, l.Lag.At), append(seconds, l.Lag.Seconds)
		commits, bytes = append(commits, l.Lag.Commits), append(bytes, l.Lag.Bytes)
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := exec(ctx, q, `with given as (
			select * from unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::float8[]) as g (database_id, at, commits, bytes, seconds)),
		samples as (
			insert into lag_samples (database_id, at, commits, bytes, seconds)
			select * from given on conflict (database_id, at) do nothing)
		insert into lag_stretches as s (database_id, width, at, last_at, commits, bytes, seconds)
		select database_id, width, to_timestamp(floor(date_part('epoch', at) / width) * width), max(at), max(commits), max(bytes), max(seconds)
		from given, unnest($6::int[]) as width group by 1, 2, 3
		on conflict (database_id, width, at) do update set last_at = greatest(s.last_at, excluded.last_at),
			commits = greatest(s.commits, excluded.commits), bytes = greatest(s.bytes, excluded.bytes), seconds = greatest(s.seconds, excluded.seconds)`,
		ids, ats, commits, bytes, seconds, lagWidths)
	return err
}

// LagSamples is each follower's lag from from to to as at most points points in
// their order, in one question. Of each equal stretch of time the worst is
// kept, so that no peak is lost: the most commits, bytes and seconds behind, at
// its last moment. Where such stretches are kept beside the samples they are
// read, and only what the two ends cut off of one comes from the samples; it
// belongs to the point beside it.
func LagSamples(ctx context.Context, q Querier, databaseIDs []int64, from, to time.Time, points int) (map[int64][]platform.Lag, error) {
	lists := make(map[int64][]platform.Lag, len(databaseIDs))
	if points < 1 || !to.After(from) || len(databaseIDs) == 0 {
		return lists, nil
	}
	// Of the ends, what short stretches hold is read from these; only the rest
	// comes from samples. Each point is as long as each.
	begin, end, shortBegin, shortEnd, width := from, from, from, from, 0
	each := (to.Sub(from) + time.Duration(points) - 1) / time.Duration(points)
	for _, w := range lagWidths {
		if stretch := time.Duration(w) * time.Second; to.Sub(from) >= stretch*time.Duration(points) {
			begin, end, width = from.Add(stretch-1).Truncate(stretch), to.Truncate(stretch), w
			each = (each + stretch - 1).Truncate(stretch)
			if w == lagWidths[0] {
				shortBegin, shortEnd = begin, end
			}
		}
	}
	type row struct {
		DatabaseID     int64
		At             time.Time
		Commits, Bytes int64
		Seconds        float64
	}
	rows, err := many[row](ctx, q, `with parts as (
			select database_id, at as position, last_at as at, commits, bytes, seconds from lag_stretches
			where database_id = any($1) and width = $6 and at >= $4 and at < $5
			union all
			select database_id, at, last_at, commits, bytes, seconds from lag_stretches
			where database_id = any($1) and width = $8 and at >= $9 and at < $4
			union all
			select database_id, at, last_at, commits, bytes, seconds from lag_stretches
			where database_id = any($1) and width = $8 and at >= $5 and at < $10
			union all
			select database_id, at, at, commits, bytes, seconds from lag_samples where database_id = any($1) and at >= $2 and at < $9
			union all
			select database_id, at, at, commits, bytes, seconds from lag_samples where database_id = any($1) and at >= $10 and at < $3)
		select database_id, max(at) as at, max(commits) as commits, max(bytes) as bytes, max(seconds) as seconds from parts
		group by database_id, greatest(floor(date_part('epoch', position - $4) / $7::float8), 0)
		order by 1, 2`, databaseIDs, from, to, begin, end, width, each.Seconds(), lagWidths[0], shortBegin, shortEnd)
	for _, r := range rows {
		lists[r.DatabaseID] = append(lists[r.DatabaseID], platform.Lag{At: r.At, Known: true, Commits: r.Commits, Bytes: r.Bytes, Seconds: r.Seconds})
	}
	return lists, err
}
