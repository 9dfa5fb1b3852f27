package cluster

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

// Own gives a file to the unprivileged user.
func (p Programs) Own(path string) error {
	if p.Credential == nil {
		return nil
	}
	return os.Chown(path, int(p.Credential.Uid), int(p.Credential.Gid))
}

// Exec runs one statement as the superuser.
func (c *Cluster) Exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, c.Conninfo()+" dbname=postgres")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, statement)
	return err
}

// WaitForFollower returns when the follower on the slot streams and has
// replayed everything that the leader had written at the call.
func (c *Cluster) WaitForFollower(ctx context.Context, slot string) error {
	conn, err := pgx.Connect(ctx, c.Conninfo()+" dbname=postgres")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var end string
	if err := conn.QueryRow(ctx, "select pg_current_wal_lsn()::text").Scan(&end); err != nil {
		return err
	}
	for {
		var ready bool
		err := conn.QueryRow(ctx, `
			select exists (select from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid
			where s.slot_name = $1 and r.state = 'streaming' and r.replay_lsn >= $2::pg_lsn)`, slot, end).Scan(&ready)
		if err != nil || ready {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the follower on slot %s does not catch up: %w", slot, context.Cause(ctx))
		case <-time.After(10 * time.Millisecond):
		}
	}
}
