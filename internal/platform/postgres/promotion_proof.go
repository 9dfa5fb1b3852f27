package postgres

import (
	"context"
	"fmt"
	"strings"

	"changeover/internal/platform"
)

// InRecovery is whether the server is a follower or fenced: it takes no write.
func InRecovery(ctx context.Context, q Querier) (bool, error) {
	var in bool
	err := q.QueryRow(ctx, `select pg_is_in_recovery()`).Scan(&in)
	return in, err
}

// WriteOnce makes one write that needs no table: a transaction that takes an
// id. It returns the server's refusal where the server takes no writes.
func WriteOnce(ctx context.Context, q Querier) error {
	if _, err := q.Exec(ctx, `begin read write`); err != nil {
		return err
	}
	if _, err := q.Exec(ctx, `select pg_current_xact_id()`); err != nil {
		_, _ = q.Exec(ctx, `rollback`)
		return err
	}
	_, err := q.Exec(ctx, `commit`)
	return err
}

// ForkPoint reads, on a promoted server, the timeline it writes now and where
// that timeline begins: the last line of its history file, which it wrote at
// its promotion. A server that was never promoted is an error.
func ForkPoint(ctx context.Context, q Querier) (timeline int, at platform.LSN, err error) {
	// The WAL file's name begins with the timeline that is written now; the
	// control file still holds the old one until the first checkpoint.
	var name string
	if err := q.QueryRow(ctx, `select substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)`).Scan(&name); err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscanf(name, "%08X", &timeline); err != nil {
		return 0, 0, fmt.Errorf("timeline %q: %w", name, err)
	}
	var history string
	if err := q.QueryRow(ctx, `select pg_read_file('pg_wal/' || $1 || '.history')`, name).Scan(&history); err != nil {
		return 0, 0, fmt.Errorf("history of timeline %d: %w", timeline, err)
	}
	for line := range strings.Lines(history) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if at, err = platform.ParseLSN(fields[1]); err != nil {
			return 0, 0, err
		}
	}
	if at == 0 {
		return 0, 0, fmt.Errorf("the history of timeline %d names no fork", timeline)
	}
	return timeline, at, nil
}
