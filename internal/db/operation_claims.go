package db

import (
	"context"
	"fmt"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// claim takes the databases that op touches, in the order of their ids, so that
// two operations that want the same two cannot wait for each other.
func claim(ctx context.Context, tx pgx.Tx, op platform.Operation) error {
	ids := []int64{op.DatabaseID}
	if op.TargetID != nil && *op.TargetID != op.DatabaseID {
		ids = append(ids, *op.TargetID)
	}
	got, err := tryClaim(ctx, tx, op.ID, ids)
	if err != nil || got == len(ids) {
		return err
	}
	return claimedBy(ctx, tx, op.ID, ids)
}

// tryClaim is how many of the databases are the operation's now.
func tryClaim(ctx context.Context, tx pgx.Tx, operationID int64, ids []int64) (got int, err error) {
	rows, err := tx.Query(ctx, `
		insert into operation_claims (database_id, operation_id)
		select id, $2 from unnest($1::bigint[]) as t(id) order by id
		on conflict on constraint operation_claims_pkey do nothing returning database_id`, ids, operationID)
	if err != nil {
		return 0, fmt.Errorf("claim: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return 0, fmt.Errorf("claim: %w", err)
	}
	return len(list), nil
}

// claimedBy is the Conflict with whatever else has claimed one of the databases.
func claimedBy(ctx context.Context, q Querier, operationID int64, ids []int64) error {
	type row struct {
		ID   int64
		Kind platform.OperationKind
		Name string
	}
	list, err := many[row](ctx, q, `
		select o.id, o.kind, d.name
		from operation_claims c join operations o on o.id = c.operation_id join databases d on d.id = c.database_id
		where c.database_id = any($1) and c.operation_id <> $2 limit 1`, ids, operationID)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return platform.Conflict("Another operation on this database was just started. Look at its page, then try again.")
	}
	other := list[0]
	conflict := platform.Conflict("%s of %s is running. Wait until it has ended, or cancel it on its page.", other.Kind.Title(), other.Name)
	m, err := MaintenanceOf(ctx, q, other.ID)
	switch {
	case err == nil && m.State == platform.MaintenanceScheduled && m.ScheduledAt != nil:
		conflict = platform.Conflict("A maintenance of %s (%s) is scheduled for %s. Run it now or cancel it, then try again.", m.DatabaseName, m.Title(), platform.MomentUTC(*m.ScheduledAt))
	case err == nil:
		conflict = platform.Conflict("A maintenance of %s (%s) is %s. Wait until it has ended, or cancel it, then try again.", m.DatabaseName, m.Title(), m.State)
	case platform.KindOf(err) != platform.KindNotFound:
		return err
	}
	conflict.Link = fmt.Sprintf("/operations/%d", other.ID)
	return conflict
}

// RefuseClaimed is nil while no operation has claimed the database, else the
// Conflict that names it: for what only reads the database, but must not begin
// while another server is put in its place.
func RefuseClaimed(ctx context.Context, q Querier, databaseID int64) error {
	claimed, err := value[bool](ctx, q, nil, `select exists (select from operation_claims where database_id = $1)`, databaseID)
	if err != nil || !claimed {
		return err
	}
	return claimedBy(ctx, q, 0, []int64{databaseID})
}

// ClaimAlso claims more databases for a running operation, all of them or none:
// Conflict, with whatever has claimed one of them.
func ClaimAlso(ctx context.Context, tx pgx.Tx, op platform.Operation, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := tryClaim(ctx, tx, op.ID, ids)
	if err != nil {
		return err
	}
	mine, err := value[int](ctx, tx, nil, `select count(*) from operation_claims where operation_id = $1 and database_id = any($2)`, op.ID, ids)
	if err != nil || mine == len(ids) {
		return err
	}
	return claimedBy(ctx, tx, op.ID, ids)
}

// GiveBackOtherClaims gives back what ClaimAlso took.
func GiveBackOtherClaims(ctx context.Context, tx pgx.Tx, op platform.Operation) error {
	_, err := exec(ctx, tx, `delete from operation_claims where operation_id = $1 and database_id <> $2 and database_id is distinct from $3`,
		op.ID, op.DatabaseID, op.TargetID)
	return err
}

// GiveBackClaim gives one claimed database back, for another operation to take
// in the same transaction.
func GiveBackClaim(ctx context.Context, tx pgx.Tx, op platform.Operation, databaseID int64) error {
	_, err := exec(ctx, tx, `delete from operation_claims where operation_id = $1 and database_id = $2`, op.ID, databaseID)
	return err
}
