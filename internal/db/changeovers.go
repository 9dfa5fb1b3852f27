package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Changeover is what was asked for in a follower changeover, and what the steps of
// it, or of another planned switch, learned about the switch. Nil means: not known yet.
type Changeover struct {
	OperationID       int64
	NewFollower       bool
	ConfirmedJobs     bool
	SavedFormation    []platform.Process // nil: nothing was scaled down yet
	MaintenanceWasOn  *bool
	ShutdownLSN       *platform.LSN // start of the old leader's shutdown checkpoint record
	OldTimeline       *int
	OldEndLSN         *platform.LSN // end of the old leader's WAL, read from the old leader
	ForkLSN           *platform.LSN // where the new timeline begins, read from the new leader
	NewTimeline       *int
	RefusedAt         *time.Time
	AcceptedAt        *time.Time
	OutageMS          *float64
	SessionsEnded     *int
	TransactionsEnded *int
	UnloggedTables    *int
	ReleaseNumber     *int
	HeldMS            *float64   // from the pause of the pools until their clients went on
	HeldAtLeast       bool       // HeldMS is the least that it was: an attempt died before it could know
	HeldSince         *time.Time // they are held since then, where an attempt has noted it
}

// InsertChangeover stores what was asked for.
func InsertChangeover(ctx context.Context, tx pgx.Tx, operationID int64, newFollower, confirmedJobs bool) error {
	_, err := tx.Exec(ctx, `insert into changeovers (operation_id, new_follower, confirmed_jobs) values ($1, $2, $3)`,
		operationID, newFollower, confirmedJobs)
	return err
}

// InsertSwitch is the row of a planned switch that is no changeover: nothing is
// asked for in it, and its steps learn the same.
func InsertSwitch(ctx context.Context, tx pgx.Tx, operationID int64) error {
	return InsertChangeover(ctx, tx, operationID, false, false)
}

// ChangeoverOf is the switch of an operation; NotFound when it has none.
func ChangeoverOf(ctx context.Context, q Querier, operationID int64) (Changeover, error) {
	var c Changeover
	var saved []byte
	var shutdown, oldEnd, fork *string
	err := q.QueryRow(ctx, `
		select operation_id, new_follower, confirmed_jobs, saved_formation, maintenance_was_on, shutdown_lsn::text, old_timeline,
			old_end_lsn::text, fork_lsn::text, new_timeline, refused_at, accepted_at, outage_ms, sessions_ended,
			transactions_ended, unlogged_tables, release_number, held_ms, held_at_least, held_since
		from changeovers where operation_id = $1`, operationID).Scan(&c.OperationID, &c.NewFollower, &c.ConfirmedJobs, &saved,
		&c.MaintenanceWasOn, &shutdown, &c.OldTimeline, &oldEnd, &fork, &c.NewTimeline, &c.RefusedAt, &c.AcceptedAt,
		&c.OutageMS, &c.SessionsEnded, &c.TransactionsEnded, &c.UnloggedTables, &c.ReleaseNumber, &c.HeldMS, &c.HeldAtLeast, &c.HeldSince)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, platform.NotFound("Operation %d is not a switch.", operationID)
	}
	if err != nil {
		return c, fmt.Errorf("changeover: %w", translate(err))
	}
	if saved != nil {
		c.SavedFormation = []platform.Process{}
		if err := json.Unmarshal(saved, &c.SavedFormation); err != nil {
			return c, fmt.Errorf("saved formation: %w", err)
		}
	}
	for _, f := range []struct {
		text *string
		lsn  **platform.LSN
	}{{shutdown, &c.ShutdownLSN}, {oldEnd, &c.OldEndLSN}, {fork, &c.ForkLSN}} {
		if f.text == nil {
			continue
		}
		lsn, err := platform.ParseLSN(*f.text)
		if err != nil {
			return c, err
		}
		*f.lsn = &lsn
	}
	return c, nil
}

// SaveFormation keeps what to scale back up to and whether maintenance mode was
// on before, once: a second attempt must not take the scaled-down state for it.
func SaveFormation(ctx context.Context, tx pgx.Tx, operationID int64, formation []platform.Process) error {
	if formation == nil {
		formation = []platform.Process{}
	}
	saved, err := json.Marshal(formation)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update changeovers set saved_formation = coalesce(saved_formation, $2) where operation_id = $1`, operationID, saved)
	return err
}

// SaveMaintenance keeps whether maintenance mode was on before, once.
func SaveMaintenance(ctx context.Context, tx pgx.Tx, operationID int64, on bool) error {
	_, err := tx.Exec(ctx, `update changeovers set maintenance_was_on = coalesce(maintenance_was_on, $2) where operation_id = $1`, operationID, on)
	return err
}

// ForgetSwitch clears what an attempt that was put back had saved and learned.
func ForgetSwitch(ctx context.Context, tx pgx.Tx, operationID int64) error {
	_, err := tx.Exec(ctx, `
		update changeovers set saved_formation = null, maintenance_was_on = null, shutdown_lsn = null, old_timeline = null,
			held_since = null
		where operation_id = $1`, operationID)
	return err
}

// SaveSwitch writes what was learned about the switch; nil fields stay, and
// HeldAtLeast does where HeldMS is nil.
func SaveSwitch(ctx context.Context, tx pgx.Tx, c Changeover) error {
	_, err := tx.Exec(ctx, `
		update changeovers set
			shutdown_lsn = coalesce($2::pg_lsn, shutdown_lsn), old_timeline = coalesce($3, old_timeline),
			old_end_lsn = coalesce($4::pg_lsn, old_end_lsn), fork_lsn = coalesce($5::pg_lsn, fork_lsn),
			new_timeline = coalesce($6, new_timeline), refused_at = coalesce($7, refused_at),
			accepted_at = coalesce($8, accepted_at), outage_ms = coalesce($9, outage_ms),
			sessions_ended = coalesce($10, sessions_ended), transactions_ended = coalesce($11, transactions_ended),
			unlogged_tables = coalesce($12, unlogged_tables), release_number = coalesce($13, release_number), held_ms = coalesce($14, held_ms),
			held_at_least = case when $14::float8 is null then held_at_least else $15 end, held_since = coalesce($16, held_since)
		where operation_id = $1`, c.OperationID, lsnText(c.ShutdownLSN), c.OldTimeline, lsnText(c.OldEndLSN), lsnText(c.ForkLSN),
		c.NewTimeline, c.RefusedAt, c.AcceptedAt, c.OutageMS, c.SessionsEnded, c.TransactionsEnded, c.UnloggedTables, c.ReleaseNumber, c.HeldMS, c.HeldAtLeast, c.HeldSince)
	return err
}

func lsnText(l *platform.LSN) *string {
	if l == nil {
		return nil
	}
	s := l.String()
	return &s
}
