package local

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

// setting is one line of our settings file. restart marks those that
// PostgreSQL reads only when it starts.
type setting struct {
	name, value string
	restart     bool
}

const (
	settingsFile = "changeover.conf"        // ours; the engine writes it anew at every start
	followFile   = "changeover_follow.conf" // whom a follower streams from; empty for a leader
	standbyFile  = "standby.signal"
	promoteFile  = "promote"
)

const (
	megabyte = int64(1) << 20
	gigabyte = int64(1) << 30
)

// The rest of the constants of safety 3, beside platform.MaxConnections: a
// follower with less than its leader does not start, so they are the same
// everywhere and never follow a plan.
const (
	maxWorkerProcesses      = 16
	maxWALSenders           = 20
	maxReplicationSlots     = 20
	maxPreparedTransactions = 64
	maxLocksPerTransaction  = 64
)

// sharedTempBytes is temp_file_limit of a shared cluster, for a session whose
// database has no limit of its own.
const sharedTempBytes = 32 * megabyte

// commonSettings hold for every cluster we run, the control cluster too.
func (e *Engine) commonSettings(major int) []setting {
	list := []setting{
		{"unix_socket_directories", e.sockets, true},
		{"unix_socket_permissions", "0700", true},
		{"wal_log_hints", "on", true},
		{"fsync", "on", false},
		{"full_page_writes", "on", false},
		{"password_encryption", "scram-sha-256", false},
		{"logging_collector", "off", true},
		{"log_destination", "stderr", false},
		{"log_line_prefix", "%m [%p] %q%u@%d ", false},
		{"log_timezone", "UTC", false},
		{"timezone", "UTC", false},
		{"lc_messages", "C", false},
		// What a statement holds may be a secret: it stays out of the log.
		{"log_min_error_statement", "panic", false},
		{"min_wal_size", "64MB", false},
		{"max_wal_size", "1GB", false},
		{"jit", "off", false},
	}
	if major >= 14 && runtime.GOOS == "linux" {
		list = append(list, setting{"recovery_init_sync_method", "syncfs", false})
	}
	return list
}

// memory is what s may use of the machine: its plan's, scaled.
func (e *Engine) memory(s engine.Server) int64 {
	return int64(float64(s.Plan.MemoryBytes) * e.config.MemoryScale)
}

// serverSettings are a managed server's. Of them only what safety 3 allows to
// differ between servers that replace each other depends on the plan.
func (e *Engine) serverSettings(s engine.Server, zone string) []setting {
	memory := e.memory(s)
	buffers := max(memory/4, 16*megabyte)
	if machine := machineMemory(); machine > 0 {
		buffers = max(min(buffers, machine/8), 16*megabyte)
	}
	limit := s.Plan.Connections
	if limit <= 0 || limit >= platform.MaxConnections {
		limit = 20
	}
	tempLimit := "-1"
	if s.Plan.Tier.Name == "essential" && s.Plan.StorageBytes > 0 {
		tempLimit = kilobytes(s.Plan.StorageBytes)
	}
	prepared := maxPreparedTransactions
	if s.Shared {
		// Each database has a limit of its own, which never is higher than this one
		// was meant for; a prepared transaction would hold a slot that all share.
		tempLimit, prepared = kilobytes(sharedTempBytes), 0
	}
	list := []setting{
		{"port", strconv.Itoa(s.Port), true},
		{"listen_addresses", e.config.DatabaseHost, true},
		{"cluster_name", "changeover-" + strconv.FormatInt(s.ID, 10), true},
		{"max_connections", strconv.Itoa(platform.MaxConnections), true},
		{"superuser_reserved_connections", strconv.Itoa(platform.MaxConnections - limit), true},
		{"max_worker_processes", strconv.Itoa(maxWorkerProcesses), true},
		{"max_wal_senders", strconv.Itoa(maxWALSenders), true},
		{"max_replication_slots", strconv.Itoa(maxReplicationSlots), true},
		{"max_prepared_transactions", strconv.Itoa(prepared), true},
		{"max_locks_per_transaction", strconv.Itoa(maxLocksPerTransaction), true},
		{"shared_buffers", kilobytes(buffers), true},
		{"effective_cache_size", kilobytes(buffers * 3), false},
		{"maintenance_work_mem", kilobytes(min(max(memory/16, 16*megabyte), gigabyte)), false},
		{"temp_file_limit", tempLimit, false},
		{"wal_level", "logical", true},
		{"hot_standby", "on", true},
		{"max_standby_streaming_delay", "-1", false},
		{"max_standby_archive_delay", "-1", false},
		{"wal_retrieve_retry_interval", "100ms", false},
		{"wal_receiver_status_interval", "1s", false},
		{"max_slot_wal_keep_size", kilobytes(slotKeep(zone)), false},
		{"ssl", "on", false},
		{"ssl_cert_file", "server.crt", false},
		{"ssl_key_file", "server.key", false},
		{"ssl_min_protocol_version", "TLSv1.2", false},
		{"log_checkpoints", "on", false},
	}
	return append(e.commonSettings(s.Major), list...)
}

// slotKeep is how much WAL a slot may hold back: an eighth of the disk, at
// least 1.5 GB so that the watch's 1024 MB come first, at most 32 GB.
func slotKeep(zone string) int64 {
	_, total, err := diskOf(zone)
	if err != nil {
		total = 0
	}
	return min(max(total/8, 3*gigabyte/2), 32*gigabyte)
}

func kilobytes(bytes int64) string { return strconv.FormatInt(bytes/1024, 10) + "kB" }

// text is the settings file.
func (c cluster) text() string {
	var b strings.Builder
	b.WriteString("# Written by Changeover at every start; changes here are lost.\n")
	for _, s := range c.settings {
		fmt.Fprintf(&b, "%s = '%s'\n", s.name, strings.ReplaceAll(s.value, "'", "''"))
	}
	return b.String()
}

// restartText is the part of the settings that needs a restart.
func (c cluster) restartText() string {
	var b strings.Builder
	for _, s := range c.settings {
		if s.restart {
			fmt.Fprintf(&b, "%s = %s\n", s.name, s.value)
		}
	}
	return b.String()
}

// arguments are the settings that must hold whatever postgresql.auto.conf says:
// the command line outranks every file and ALTER SYSTEM.
func (c cluster) arguments(extra ...string) []string {
	args := []string{"-D", c.data}
	for _, s := range c.settings {
		switch s.name {
		case "port", "listen_addresses", "unix_socket_directories", "max_connections", "max_worker_processes", "max_wal_senders",
			"max_replication_slots", "max_prepared_transactions", "max_locks_per_transaction", "wal_level", "wal_log_hints",
			"hot_standby", "superuser_reserved_connections":
			args = append(args, "-c", s.name+"="+s.value)
		}
	}
	return append(args, extra...)
}

// fileHBA lets the app's role into its own database over TLS, and from its
// connection pools over the private socket, us into everything over that, and
// nobody else anywhere.
func fileHBA(c engine.Credentials) string {
	return fileSharedHBA() + hbaPool(c.DatabaseName, c.RoleName) + hbaPair(c.DatabaseName, c.RoleName)
}

// hbaPool lets one role into one database over the private socket, which only
// our own processes can reach: its connection pools do.
func hbaPool(database, role string) string {
	return fmt.Sprintf("local %s %s scram-sha-256\n", quoteHBA(database), quoteHBA(role))
}

// fileSharedHBA lets only us in.
func fileSharedHBA() string {
	return "# Written by Changeover.\n" +
		"local all " + AdminRole + " peer map=changeover\n" +
		"local replication " + ReplicationRole + " peer map=changeover\n"
}

// hbaPair lets one role into one database, over TLS only.
func hbaPair(database, role string) string {
	var b strings.Builder
	for _, address := range []string{"0.0.0.0/0", "::/0"} {
		fmt.Fprintf(&b, "hostssl %s %s %s scram-sha-256\n", quoteHBA(database), quoteHBA(role), address)
	}
	return b.String()
}

// fileIdent maps the operating system's users that we and PostgreSQL run as.
func (e *Engine) fileIdent(roles []string) string {
	var b strings.Builder
	b.WriteString("# Written by Changeover.\n")
	for _, user := range e.owner.users() {
		for _, role := range roles {
			fmt.Fprintf(&b, "changeover %s %s\n", quoteHBA(user), role)
		}
	}
	return b.String()
}

// quoteHBA keeps words such as all and names with signs from meaning anything else.
func quoteHBA(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func (c cluster) path(name string) string { return filepath.Join(c.data, name) }
