package postgres

import (
	"context"
	"errors"
	"fmt"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// Slot is a replication slot as its server sees it.
type Slot struct {
	Name    string
	Logical bool
	Active  bool // somebody streams through it now
	// RestartLSN is from where on WAL is kept for it; 0 before any is.
	RestartLSN platform.LSN
	WALStatus  string // "reserved", "extended", "unreserved", "lost"
	// Invalidated means that WAL it needed is gone: its follower must be re-created.
	Invalidated bool
}

// SlotState reads a slot; found is false where there is none of that name.
func SlotState(ctx context.Context, q Querier, name string) (slot Slot, found bool, err error) {
	list, err := slots(ctx, q, "where slot_name = $1", name)
	if err != nil || len(list) == 0 {
		return Slot{}, false, err
	}
	return list[0], true, nil
}

func slots(ctx context.Context, q Querier, where string, args ...any) ([]Slot, error) {
	rows, err := q.Query(ctx, `
		select slot_name, slot_type = 'logical', active,
		       coalesce((restart_lsn - '0/0')::bigint, 0), coalesce(wal_status, '')
		  from pg_replication_slots `+where+` order by slot_name`, args...)
	if err != nil {
		return nil, fmt.Errorf("read the replication slots: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Slot, error) {
		var s Slot
		var restart int64
		err := row.Scan(&s.Name, &s.Logical, &s.Active, &restart, &s.WALStatus)
		s.RestartLSN, s.Invalidated = lsn(restart), s.WALStatus == "lost"
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the replication slots: %w", err)
	}
	return list, nil
}

// LostSlots are the names of the slots whose WAL is gone: their followers must
// be re-created.
func LostSlots(ctx context.Context, q Querier) (names []string, err error) {
	lost, err := slots(ctx, q, "where wal_status = 'lost'")
	for _, s := range lost {
		names = append(names, s.Name)
	}
	return names, err
}

// CreatePhysicalSlot makes a physical slot that keeps WAL from now on; one that
// is there already is left as it is. It works on a server in recovery, too.
func CreatePhysicalSlot(ctx context.Context, q Querier, name string) error {
	_, found, err := SlotState(ctx, q, name)
	if err != nil || found {
		return err
	}
	// The second argument reserves WAL at once: a slot without a reservation
	// would let go of what a follower needs before it first connects.
	_, err = q.Exec(ctx, "select pg_create_physical_replication_slot($1, true)", name)
	if err != nil && !isCode(err, codeDuplicateObject) {
		return fmt.Errorf("create replication slot %s: %w", name, err)
	}
	return nil
}

// DropSlot removes a slot that nobody streams through; one that does not exist
// is fine. An active one is a Conflict.
func DropSlot(ctx context.Context, q Querier, name string) error {
	var dropped bool
	err := q.QueryRow(ctx, `
		select pg_drop_replication_slot(slot_name) is not null
		  from pg_replication_slots where slot_name = $1`, name).Scan(&dropped)
	switch {
	case err == nil, errors.Is(err, pgx.ErrNoRows), isCode(err, codeUndefinedObject):
		return nil
	case isCode(err, codeObjectInUse):
		return platform.Conflict("Replication slot %s is in use: a follower streams through it. Stop the follower first.", name)
	}
	return fmt.Errorf("drop replication slot %s: %w", name, err)
}

// DropUnusedSlots drops the physical slots whose name begins with prefix and
// through which nobody streams now.
func DropUnusedSlots(ctx context.Context, q Querier, prefix string) error {
	unused, err := slots(ctx, q, "where slot_type = 'physical' and not active and starts_with(slot_name::text, $1)", prefix)
	if err != nil {
		return err
	}
	for _, s := range unused {
		if err := DropSlot(ctx, q, s.Name); err != nil && platform.KindOf(err) != platform.KindConflict {
			return err
		}
	}
	return nil
}
