package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// Reading is the newest that is known of a running database.
type Reading struct {
	Known           bool // false: it was never read, the rest is zero
	DatabaseID      int64
	At              time.Time // of the facts
	Answers         bool
	UnansweredSince *time.Time
	Problem         string // why it does not answer, or what is wrong although it does, in a sentence
	DataBytes       int64
	Tables          int
	Connections     int
	Version         string // "15.18"
	CommitsPerS     float64
	WALBytesPerS    float64
	InRecovery      bool
	Lag             platform.Lag // At is zero until lag was first measured
	CopiedBytes     int64        // while a follower is being copied
	CopyTotalBytes  int64
}

// readingRow is a reading as the left join gives it.
type readingRow struct {
	ReadingOf       *int64
	At              time.Time
	Answers         bool
	UnansweredSince *time.Time
	Problem         string
	DataBytes       int64
	Tables          int
	Connections     int
	Version         string
	CommitsPerS     float64
	WALBytesPerS    float64
	InRecovery      bool
	LagAt           *time.Time
	LagKnown        bool
	LagSince        *time.Time
	LagCommits      int64
	LagBytes        int64
	LagSeconds      float64
	CopiedBytes     int64
	CopyTotalBytes  int64
}

const readingColumns = `r.database_id as reading_of, coalesce(r.at, 'epoch') as at, coalesce(r.answers, false) as answers,
	r.unanswered_since, coalesce(r.problem, '') as problem, coalesce(r.data_bytes, 0) as data_bytes,
	coalesce(r.tables, 0) as tables, coalesce(r.connections, 0) as connections, coalesce(r.version, '') as version,
	coalesce(r.commits_per_s, 0) as commits_per_s, coalesce(r.wal_bytes_per_s, 0) as wal_bytes_per_s,
	coalesce(r.in_recovery, false) as in_recovery, r.lag_at, coalesce(r.lag_known, false) as lag_known, r.lag_since,
	coalesce(r.lag_commits, 0) as lag_commits, coalesce(r.lag_bytes, 0) as lag_bytes,
	coalesce(r.lag_seconds, 0) as lag_seconds, coalesce(r.copied_bytes, 0) as copied_bytes,
	coalesce(r.copy_total_bytes, 0) as copy_total_bytes`

func (r readingRow) reading() Reading {
	if r.ReadingOf == nil {
		return Reading{}
	}
	lag := platform.Lag{Known: r.LagKnown, Commits: r.LagCommits, Bytes: r.LagBytes, Seconds: r.LagSeconds}
	if r.LagAt != nil {
		lag.At = *r.LagAt
	}
	if r.LagSince != nil {
		lag.Since = *r.LagSince
	}
	return Reading{
		Known: true, DatabaseID: *r.ReadingOf, At: r.At, Answers: r.Answers, UnansweredSince: r.UnansweredSince,
		Problem: r.Problem, DataBytes: r.DataBytes, Tables: r.Tables, Connections: r.Connections, Version: r.Version,
		CommitsPerS: r.CommitsPerS, WALBytesPerS: r.WALBytesPerS, InRecovery: r.InRecovery, Lag: lag,
		CopiedBytes: r.CopiedBytes, CopyTotalBytes: r.CopyTotalBytes,
	}
}

// ReadingOf is the database's newest reading, or the zero Reading.
func ReadingOf(ctx context.Context, q Querier, databaseID int64) (Reading, error) {
	rows, err := many[readingRow](ctx, q, `select `+readingColumns+` from readings r where r.database_id = $1`, databaseID)
	if err != nil || len(rows) == 0 {
		return Reading{}, err
	}
	return rows[0].reading(), nil
}

// Facts is what the monitor read of a database that answers.
type Facts struct {
	DatabaseID   int64
	DataBytes    int64
	Tables       int
	Connections  int
	Version      string
	CommitsPerS  float64
	WALBytesPerS float64
	InRecovery   bool
	Problem      string // of a database that answers: it receives nothing, replay is paused; empty: none
}

// SetFacts records facts of a database that answers.
func SetFacts(ctx context.Context, q Querier, f Facts) error {
	_, err := exec(ctx, q, `with r as (
			insert into readings as r (database_id, at, answers, data_bytes, tables, connections, version,
				commits_per_s, wal_bytes_per_s, in_recovery, problem)
			values ($1, now(), true, $2, $3, $4, $5, $6, $7, $8, $9)
			on conflict (database_id) do update set at = now(), answers = true, unanswered_since = null,
				problem = excluded.problem,
				data_bytes = excluded.data_bytes, tables = excluded.tables, connections = excluded.connections,
				version = excluded.version, commits_per_s = excluded.commits_per_s,
				wal_bytes_per_s = excluded.wal_bytes_per_s, in_recovery = excluded.in_recovery
			returning database_id)
		select pg_notify('live', 'database:' || database_id) from r`,
		f.DatabaseID, f.DataBytes, f.Tables, f.Connections, f.Version, f.CommitsPerS, f.WALBytesPerS, f.InRecovery, f.Problem)
	return err
}

// SetUnanswered records that the database does not answer and why; the time
// since when, and the last facts, are kept.
func SetUnanswered(ctx context.Context, q Querier, databaseID int64, problem string) error {
	_, err := exec(ctx, q, `with r as (
			insert into readings as r (database_id, answers, unanswered_since, problem) values ($1, false, now(), $2)
			on conflict (database_id) do update set at = now(), answers = false, problem = excluded.problem,
				unanswered_since = coalesce(r.unanswered_since, now())
			returning database_id)
		select pg_notify('live', 'database:' || database_id) from r`, databaseID, problem)
	return err
}

// SetCopyProgress records how far the copy of a follower has come, in bytes;
// zeros when it is over.
func SetCopyProgress(ctx context.Context, q Querier, databaseID, copied, total int64) error {
	_, err := exec(ctx, q, `with r as (
			insert into readings (database_id, answers, copied_bytes, copy_total_bytes) values ($1, false, $2, $3)
			on conflict (database_id) do update set copied_bytes = excluded.copied_bytes,
				copy_total_bytes = excluded.copy_total_bytes
			returning database_id)
		select pg_notify('live', 'database:' || database_id) from r`, databaseID, copied, total)
	return err
}

// FollowerLag is the lag of one follower.
type FollowerLag struct {
	DatabaseID int64
	Lag        platform.Lag
}

// SetLags records the newest lag of followers, in one statement. An unknown
// lag keeps the last figures and the time since when they are old: Since, or
// where that is zero the time of the last known one.
func SetLags(ctx context.Context, q Querier, lags []FollowerLag) error {
	if len(lags) == 0 {
		return nil
	}
	n := len(lags)
	ids, ats, sinces := make([]int64, n), make([]time.Time, n), make([]*time.Time, n)
	known, commits, bytes, seconds := make([]bool, n), make([]int64, n), make([]int64, n), make([]float64, n)
	for i, l := range lags {
		ids[i], ats[i], known[i] = l.DatabaseID, l.Lag.At, l.Lag.Known
		commits[i], bytes[i], seconds[i] = l.Lag.Commits, l.Lag.Bytes, l.Lag.Seconds
		if since := l.Lag.Since; !since.IsZero() {
			sinces[i] = &since
		}
	}
	_, err := exec(ctx, q, `with given as (
			select * from unnest($1::bigint[], $2::timestamptz[], $3::bool[], $4::timestamptz[], $5::bigint[], $6::bigint[], $7::float8[])
				as g (id, at, known, since, commits, bytes, seconds)),
		r as (
			insert into readings as r (database_id, answers, lag_at, lag_known, lag_since, lag_commits, lag_bytes, lag_seconds)
			select id, true, at, known, case when not known then coalesce(since, at) end, commits, bytes, seconds from given
			on conflict (database_id) do update set
				lag_at = case when excluded.lag_known then excluded.lag_at else r.lag_at end,
				lag_since = case when excluded.lag_known then null
					else coalesce((select since from given where id = excluded.database_id), r.lag_since, r.lag_at, excluded.lag_at) end,
				lag_commits = case when excluded.lag_known then excluded.lag_commits else r.lag_commits end,
				lag_bytes = case when excluded.lag_known then excluded.lag_bytes else r.lag_bytes end,
				lag_seconds = case when excluded.lag_known then excluded.lag_seconds else r.lag_seconds end,
				lag_known = excluded.lag_known
			returning database_id)
		select pg_notify('live', 'database:' || database_id) from r`, ids, ats, known, sinces, commits, bytes, seconds)
	return err
}
