package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

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
	_, err := exec(ctx, q, `insert into lag_samples (database_id, at, commits, bytes, seconds)
		select * from unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::float8[])
		on conflict (database_id, at) do nothing`, ids, ats, commits, bytes, seconds)
	return err
}

// LagSamples is the follower's lag from from to to as at most points points in
// their order. Of each equal stretch of time the worst is kept, so that no
// peak is lost: the most commits, bytes and seconds behind, at its last moment.
func LagSamples(ctx context.Context, q Querier, databaseID int64, from, to time.Time, points int) ([]platform.Lag, error) {
	if points < 1 || !to.After(from) {
		return []platform.Lag{}, nil
	}
	type row struct {
		At             time.Time
		Commits, Bytes int64
		Seconds        float64
	}
	rows, err := many[row](ctx, q, `select max(at) as at, max(commits) as commits, max(bytes) as bytes, max(seconds) as seconds
		from lag_samples where database_id = $1 and at >= $2 and at < $3
		group by floor(extract(epoch from at - $2) / extract(epoch from $3::timestamptz - $2::timestamptz) * $4::int)
		order by 1`, databaseID, from, to, points)
	list := make([]platform.Lag, len(rows))
	for i, r := range rows {
		list[i] = platform.Lag{At: r.At, Known: true, Commits: r.Commits, Bytes: r.Bytes, Seconds: r.Seconds}
	}
	return list, err
}
