package postgres

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/platform"
)

// ReplayHeldUp says whether a follower's replay waits for its readers now, and
// which of their transactions, open for at least age, it can be waiting for,
// oldest first. Replay that is merely slow waits for nobody and names nobody.
func ReplayHeldUp(ctx context.Context, follower Querier, age time.Duration) (waits bool, by []platform.Backend, err error) {
	// The startup process replays. It waits for a snapshot that still sees rows
	// being removed, for a lock, or for a page that a query holds.
	err = follower.QueryRow(ctx, `
		select exists (select from pg_stat_activity where backend_type = 'startup'
		                and (wait_event like 'RecoveryConflict%' or wait_event_type in ('Lock', 'BufferPin')))`).Scan(&waits)
	if err != nil {
		return false, nil, fmt.Errorf("look at the replay: %w", err)
	}
	if !waits {
		return false, nil, nil
	}
	// A reader of whichever database holds replay up with its snapshot or with
	// its locks; both end with its transaction.
	by, err = backends(ctx, follower, `
		where a.backend_type = 'client backend' and a.usename is distinct from current_user
		  and a.xact_start <= clock_timestamp() - $1::interval
		  and (a.backend_xmin is not null
		       or a.pid in (select held.pid from pg_stat_activity s
		                      join pg_locks wanted on wanted.pid = s.pid and not wanted.granted
		                      join pg_locks held on held.granted and held.locktype = wanted.locktype
		                       and held.database = wanted.database and held.relation = wanted.relation
		                     where s.backend_type = 'startup'))
		order by a.xact_start`, age)
	return true, by, err
}
