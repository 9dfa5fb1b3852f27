package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// ServerToRun is a server that should run.
type ServerToRun struct {
	platform.Server
	// ClaimEpoch is the newest epoch of the operation that has claimed the
	// server's database; nil where none has.
	ClaimEpoch *int64
	// FoundStoppedAt is when it was found stopped; nil while it runs.
	FoundStoppedAt *time.Time
}

// ServersToRun are the servers that should run, oldest first; those that an
// operation holds stopped are not among them.
func ServersToRun(ctx context.Context, q Querier) ([]ServerToRun, error) {
	return many[ServerToRun](ctx, q, `select `+serverColumns+`,
			(select o.epoch from operation_claims c join operations o on o.id = c.operation_id where c.database_id = servers.database_id) as claim_epoch, found_stopped_at
		from servers where state = 'running' and destroyed_at is null order by id`)
}
