package db

import (
	"context"
	"strconv"
	"time"

	"changeover/internal/platform"
)

// LivePool is the payload for a change of one connection pool.
func LivePool(id int64) string { return "pool:" + strconv.FormatInt(id, 10) }

// PoolReading is the newest look at a connection pool.
type PoolReading struct {
	PoolID          int64
	At              *time.Time // of the figures; nil before the first answer
	UnansweredSince *time.Time // nil while it answers
	Problem         string     // why it does not
	ClientsActive   int
	ClientsWaiting  int
	ServersUsed     int
	Size            int // connections to the server at most
	LongestWaitMS   float64
	Held            bool // its clients are made to wait
}

// Known is whether it answers, and the figures are of now.
func (r PoolReading) Known() bool { return r.At != nil && r.UnansweredSince == nil }

// PoolReadingOf is the newest look at a pool; ok is false for one that was never looked at.
func PoolReadingOf(ctx context.Context, q Querier, poolID int64) (r PoolReading, ok bool, err error) {
	list, err := many[PoolReading](ctx, q, `select pool_id, at, unanswered_since, problem, clients_active, clients_waiting, servers_used, size, longest_wait_ms, held
		from pool_readings where pool_id = $1`, poolID)
	if err != nil || len(list) == 0 {
		return r, false, err
	}
	return list[0], true, nil
}

// SetPoolReading keeps what a pool answered. Its page is told.
func SetPoolReading(ctx context.Context, q Querier, r PoolReading) error {
	_, err := exec(ctx, q, `with written as (
			insert into pool_readings (pool_id, at, clients_active, clients_waiting, servers_used, size, longest_wait_ms, held)
			select l.id, $2, $3, $4, $5, $6, $7, $8 from pools l where l.id = $1 and l.removed_at is null
			on conflict (pool_id) do update set at = excluded.at, unanswered_since = null, problem = '', clients_active = excluded.clients_active,
				clients_waiting = excluded.clients_waiting, servers_used = excluded.servers_used, size = excluded.size,
				longest_wait_ms = excluded.longest_wait_ms, held = excluded.held
			returning pool_id)
		select pg_notify('live', 'pool:' || pool_id) from written`, r.PoolID, r.At, r.ClientsActive, r.ClientsWaiting, r.ServersUsed, r.Size, r.LongestWaitMS, r.Held)
	return err
}

// SetPoolUnanswered notes that a pool does not answer, and why. Its last figures
// stay what they were; since when is the first time of these.
func SetPoolUnanswered(ctx context.Context, q Querier, poolID int64, at time.Time, problem string) error {
	_, err := exec(ctx, q, `with written as (
			insert into pool_readings (pool_id, unanswered_since, problem)
			select l.id, $2, $3 from pools l where l.id = $1 and l.removed_at is null
			on conflict (pool_id) do update set unanswered_since = coalesce(pool_readings.unanswered_since, excluded.unanswered_since), problem = excluded.problem
			returning pool_id)
		select pg_notify('live', 'pool:' || pool_id) from written`, poolID, at, problem)
	return err
}

// PoolSample is what went on in a pool since the sample before.
type PoolSample struct {
	PoolID         int64 `db:"-"`
	At             time.Time
	ClientsActive  int
	ClientsWaiting int     // most at once
	ServersUsed    int     // most at once
	WaitMS         float64 // longest wait that was seen
	AverageMS      float64 // wait of a transaction on average
}

// AddPoolSample keeps a sample for the plot. One of a pool that was removed
// meanwhile is left out.
func AddPoolSample(ctx context.Context, q Querier, s PoolSample) error {
	_, err := exec(ctx, q, `insert into pool_samples (pool_id, at, clients_active, clients_waiting, servers_used, wait_ms, average_ms)
		select l.id, $2, $3, $4, $5, $6, $7 from pools l where l.id = $1 and l.removed_at is null
		on conflict (pool_id, at) do nothing`, s.PoolID, s.At, s.ClientsActive, s.ClientsWaiting, s.ServersUsed, s.WaitMS, s.AverageMS)
	return err
}

// PoolSamples is what went on from from to to as at most points points in their
// order; of each equal stretch of time the worst is kept.
func PoolSamples(ctx context.Context, q Querier, poolID int64, from, to time.Time, points int) ([]PoolSample, error) {
	if points < 1 || !to.After(from) {
		return nil, nil
	}
	return many[PoolSample](ctx, q, `select max(at) as at, max(clients_active) as clients_active, max(clients_waiting) as clients_waiting,
			max(servers_used) as servers_used, max(wait_ms) as wait_ms, max(average_ms) as average_ms
		from pool_samples where pool_id = $1 and at >= $2 and at < $3
		group by floor(extract(epoch from at - $2) / extract(epoch from $3::timestamptz - $2::timestamptz) * $4::int)
		order by 1`, poolID, from, to, points)
}

// DeleteOldPoolSamples forgets samples before the time, at most the given number
// of each pool, and returns how many it forgot.
func DeleteOldPoolSamples(ctx context.Context, q Querier, before time.Time, each int) (int64, error) {
	return exec(ctx, q, `delete from pool_samples s
		using (select l.pool_id, l.at from pools p cross join lateral
			(select pool_id, at from pool_samples where pool_id = p.id and at < $1 order by at limit $2) l) old
		where s.pool_id = old.pool_id and s.at = old.at`, before, each)
}

// PoolHold is a switch in which a pool's clients were held.
type PoolHold struct {
	OperationID int64
	At          time.Time // when writes began to be refused
	HeldMS      float64
	HeldAtLeast bool
}

// PoolHolds are the switches since a time in which the clients of a pool
// attachment were held: those that kept its database, and where it goes with
// DATABASE the changeovers to it.
func PoolHolds(ctx context.Context, q Querier, t platform.Attachment, since time.Time) ([]PoolHold, error) {
	return many[PoolHold](ctx, q, `select c.operation_id, c.refused_at as at, c.held_ms, c.held_at_least from changeovers c join operations o on o.id = c.operation_id
		where c.held_ms is not null and c.refused_at >= greatest($4::timestamptz, $5::timestamptz)
			and (o.target_id is null and o.database_id = $1 or o.target_id = $1 and o.app_id = $2 and $3)
		order by c.refused_at`, t.DatabaseID, t.AppID, t.Name == platform.PoolAttachment, since, t.CreatedAt)
}
