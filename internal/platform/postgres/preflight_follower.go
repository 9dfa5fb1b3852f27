package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

func checkFollowerQueries(ctx context.Context, _, follower Querier, _ Target) (platform.Check, error) {
	const name, title = "follower_queries", "Queries on the follower"
	long, err := backends(ctx, follower, `
		where a.backend_type = 'client backend' and a.usename is distinct from current_user
		  and a.xact_start < clock_timestamp() - $1::interval order by a.xact_start`, longTransaction)
	switch {
	case err != nil:
		return platform.Check{}, err
	case len(long) == 0:
		return ok(name, title, "None has run for more than 5 seconds."), nil
	}
	waits, _, err := ReplayHeldUp(ctx, follower, 0)
	if err != nil {
		return platform.Check{}, err
	}
	if waits {
		return know(name, title, "Replay waits for %s on the follower; the switch cancels it. %s.", count(int64(len(long)), "long query"), nameBackends(long)), nil
	}
	return know(name, title, "%s running for more than 5 seconds on the follower; the switch cancels what gets in its way. %s.", count(int64(len(long)), "transaction"), nameBackends(long)), nil
}

// checkStream makes sure that the follower follows this leader and history, and
// that the WAL it needs is kept for it.
func checkStream(ctx context.Context, leader, follower Querier, target Target) (platform.Check, error) {
	const name, title = "stream", "Timeline and slot"
	timeline, err := Timeline(ctx, leader)
	if err != nil {
		return platform.Check{}, err
	}
	position, err := FollowerPosition(ctx, follower)
	if err != nil {
		return platform.Check{}, err
	}
	slot, found, err := SlotState(ctx, leader, target.Slot)
	switch {
	case err != nil:
		return platform.Check{}, err
	case !found:
		return stop(name, title, "The leader has no replication slot %s, so WAL that the follower needs may go. Make a new follower.", target.Slot), nil
	case slot.Invalidated:
		return stop(name, title, "The follower's slot %s was invalidated: WAL that it needed is gone. Make a new follower.", slot.Name), nil
	case !slot.Active:
		return stop(name, title, "Nobody streams through the follower's slot %s. Wait until the follower is connected again, or make a new one.", slot.Name), nil
	case position.ReceivedTLI != timeline:
		return stop(name, title, "The leader is on timeline %d and the follower receives timeline %d. Make a new follower.", timeline, position.ReceivedTLI), nil
	}
	return ok(name, title, "Both are on timeline %d and slot %s is in use.", timeline, slot.Name), nil
}

// Timeline is the timeline that a leader writes now. pg_control_checkpoint
// would tell the old one until the first checkpoint after a promotion.
func Timeline(ctx context.Context, leader Querier) (int, error) {
	var hex string
	err := leader.QueryRow(ctx, "select left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)").Scan(&hex)
	if err != nil {
		return 0, fmt.Errorf("read the timeline: %w", err)
	}
	var timeline int
	if _, err := fmt.Sscanf(hex, "%X", &timeline); err != nil {
		return 0, fmt.Errorf("read the timeline %q: %w", hex, err)
	}
	return timeline, nil
}

// sameSettings must be equal on servers that can take each other's place (safety 3).
var sameSettings = []string{
	"max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction",
	"max_replication_slots", "wal_level", "wal_log_hints", "data_checksums", "wal_segment_size",
}

func checkSettings(ctx context.Context, leader, follower Querier, _ Target) (platform.Check, error) {
	a, err := identity(ctx, leader)
	if err != nil {
		return platform.Check{}, err
	}
	b, err := identity(ctx, follower)
	if err != nil {
		return platform.Check{}, err
	}
	return compareIdentities(a, b), nil
}

func compareIdentities(a, b map[string]string) platform.Check {
	const name, title = "settings", "Servers that can take each other's place"
	if stopped, found := compareVersions(a["server_version_num"], b["server_version_num"]); found {
		return stop(name, title, "%s", stopped)
	}
	var different []string
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if key != "server_version_num" && a[key] != b[key] {
			different = append(different, fmt.Sprintf("%s is %s on the leader and %s on the follower", key, a[key], b[key]))
		}
	}
	if len(different) > 0 {
		return stop(name, title, "They differ: %s. Make a new follower.", strings.Join(different, "; "))
	}
	return ok(name, title, "PostgreSQL %s and %d settings are the same on both.", versionText(b["server_version_num"]), len(a)-1)
}

// identity is what must be equal, by name. The version of the collation is the
// one that the server's own C library or ICU gives: the catalogue's copy is
// replicated and always equal.
func identity(ctx context.Context, q Querier) (map[string]string, error) {
	rows, err := q.Query(ctx, `
		select name, setting from pg_settings where name = any($1) or name = 'server_version_num'
		union all select 'system identifier', system_identifier::text from pg_control_system()
		union all select 'locale', concat_ws(' ', datlocprovider, datcollate, datctype, daticulocale, pg_database_collation_actual_version(oid))
		            from pg_database where datname = current_database()`, sameSettings)
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	found := map[string]string{}
	var key, value string
	_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
		found[key] = value
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	return found, nil
}

// compareVersions refuses another major, and a follower on an older minor.
func compareVersions(leader, follower string) (sentence string, stopped bool) {
	var a, b int
	fmt.Sscanf(leader, "%d", &a)
	fmt.Sscanf(follower, "%d", &b)
	switch {
	case a/10000 != b/10000:
		return fmt.Sprintf("The leader runs PostgreSQL %s and the follower %s. Use copy to change the major version.", versionText(leader), versionText(follower)), true
	case b < a:
		return fmt.Sprintf("The leader runs PostgreSQL %s and the follower the older %s. Make a new follower.", versionText(leader), versionText(follower)), true
	}
	return "", false
}

func versionText(num string) string {
	var n int
	fmt.Sscanf(num, "%d", &n)
	return fmt.Sprintf("%d.%d", n/10000, n%10000)
}

func checkExtensions(ctx context.Context, leader, follower Querier, _ Target) (platform.Check, error) {
	const name, title = "extensions", "Extensions"
	used, err := texts(ctx, leader, "select extname || ' ' || extversion from pg_extension order by extname")
	if err != nil {
		return platform.Check{}, err
	}
	there, err := texts(ctx, follower, "select name || ' ' || version from pg_available_extension_versions")
	if err != nil {
		return platform.Check{}, err
	}
	var missing []string
	for _, extension := range used {
		if !slices.Contains(there, extension) {
			missing = append(missing, extension)
		}
	}
	if len(missing) > 0 {
		return stop(name, title, "The follower's machine does not have %s. Install the package there first.", list(missing)), nil
	}
	return ok(name, title, "All of them are there on the follower: %s.", list(used)), nil
}
