package db

import (
	"context"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// PastOperation is an operation with what was measured of its switch.
type PastOperation struct {
	platform.Operation
	RefusedAt *time.Time // nil as the next where nothing was switched, or not yet
	OutageMS  *float64
}

// OperationsOf are the newest operations that touched a database, newest first.
func OperationsOf(ctx context.Context, q Querier, databaseID int64, limit int) ([]PastOperation, error) {
	rows, err := q.Query(ctx, `
		select `+operationColumns+`, c.refused_at, c.outage_ms from operations o left join changeovers c on c.operation_id = o.id
		where o.id in (
			(select id from operations where database_id = $1 order by id desc limit $2) union all
			(select id from operations where target_id = $1 order by id desc limit $2))
		order by o.id desc limit $2`, databaseID, limit)
	if err != nil {
		return nil, translate(err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o PastOperation, err error) {
		err = row.Scan(append(operationFields(&o.Operation), &o.RefusedAt, &o.OutageMS)...)
		return o, err
	})
	return list, translate(err)
}

// StepDurations are, by step name, how long each step took in the last limit
// completed operations of the kinds on a database, newest first. On any database
// where databaseID is 0.
func StepDurations(ctx context.Context, q Querier, kinds []platform.OperationKind, databaseID int64, limit int) (map[string][]time.Duration, error) {
	from, args := "operations", []any{kinds, limit}
	if databaseID != 0 {
		from, args = "(select * from operations where database_id = $3 union select * from operations where target_id = $3)", append(args, databaseID)
	}
	rows, err := q.Query(ctx, `
		select s.name, extract(epoch from s.finished_at - s.started_at)::double precision
		from (select id from `+from+` x where kind = any ($1) and state = 'completed' order by id desc limit $2) o
		join operation_steps s on s.operation_id = o.id
		where s.state = 'done' and s.finished_at is not null and s.started_at is not null order by o.id desc`, args...)
	if err != nil {
		return nil, err
	}
	durations := map[string][]time.Duration{}
	var name string
	var seconds float64
	_, err = pgx.ForEachRow(rows, []any{&name, &seconds}, func() error {
		durations[name] = append(durations[name], time.Duration(seconds*float64(time.Second)))
		return nil
	})
	return durations, err
}

// LastOutages are the measured outages of the last completed switches on
// whatever database, newest first.
func LastOutages(ctx context.Context, q Querier, limit int) ([]time.Duration, error) {
	rows, err := q.Query(ctx, `
		select c.outage_ms from changeovers c join operations o on o.id = c.operation_id
		where o.state = 'completed' and c.outage_ms is not null order by o.id desc limit $1`, limit)
	if err != nil {
		return nil, err
	}
	var outages []time.Duration
	var ms float64
	_, err = pgx.ForEachRow(rows, []any{&ms}, func() error {
		outages = append(outages, time.Duration(ms*float64(time.Millisecond)))
		return nil
	})
	return outages, err
}
