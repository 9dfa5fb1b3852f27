// Package local is the engine that runs PostgreSQL as processes on this
// machine: it makes, copies, starts, fences, promotes and removes clusters, and
// keeps the program's own control cluster. It owns files, processes and
// signals; what SQL says to a managed server belongs to platform/postgres. It
// must not import jobs, db or the web.
package local

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

// Names that exist in every cluster the engine makes.
const (
	// AdminRole is the superuser; it can only come in through the private socket.
	AdminRole = "changeover_admin"
	// ReplicationRole is what followers and base backups connect as.
	ReplicationRole = "changeover_replication"
)

// DefaultMemoryScale is how much of a plan's memory a server really gets.
const DefaultMemoryScale = 1.0 / 64

// Zone is a place for servers: a name and the directory that holds them.
type Zone struct {
	Name string
	Dir  string
}

// Config is what Open needs to know. Home is required; the rest has defaults.
type Config struct {
	Home             string
	DatabaseHost     string // where servers listen and apps connect; default 127.0.0.1
	PublicHost       string // what apps connect to, where that is not DatabaseHost (0.0.0.0, a container)
	PortFrom, PortTo int    // both included; default 20000 to 29999
	Zones            []Zone // in order of preference; default one zone "a" in Home
	MemoryScale      float64
	ExtraBinDirs     []string
	PgBouncer        string // the program; empty: the one that is found
	Logger           *slog.Logger
}

// Engine runs PostgreSQL servers on this machine. It is safe for concurrent use.
type Engine struct {
	config        Config
	installations []engine.Installation
	pooler        *pooler // nil: no PgBouncer was found
	owner         *owner  // nil: PostgreSQL runs as the user this program runs as
	sockets       string  // the private directory of the unix sockets
	admin         *pgx.ConnConfig
	log           *slog.Logger

	mu       sync.Mutex
	prepared map[int64]*pgx.Conn // admin connections opened by PrepareStop
}

// Open looks at the machine and prepares the state directory. The error is a
// sentence for a person when nothing can be run here.
func Open(config Config) (*Engine, error) {
	if config.Home == "" {
		return nil, platform.Invalid("", "The state directory is not set. Set CHANGEOVER_HOME to a directory such as /var/lib/changeover.")
	}
	if config.DatabaseHost == "" {
		config.DatabaseHost = "127.0.0.1"
	}
	if config.PortFrom == 0 && config.PortTo == 0 {
		config.PortFrom, config.PortTo = 20000, 29999
	}
	if config.MemoryScale == 0 {
		config.MemoryScale = DefaultMemoryScale
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{log: config.Logger, prepared: map[int64]*pgx.Conn{}}
	var err error
	if e.owner, err = databaseOwner(); err != nil {
		return nil, err
	}
	if config.Home, err = makeDirectory(config.Home); err != nil {
		return nil, err
	}
	if len(config.Zones) == 0 {
		config.Zones = []Zone{{Name: "a", Dir: config.Home}}
	}
	config.Zones = append([]Zone(nil), config.Zones...)
	for i, zone := range config.Zones {
		if config.Zones[i].Dir, err = makeDirectory(zone.Dir); err != nil {
			return nil, err
		}
	}
	e.config = config
	for _, dir := range append([]string{config.Home}, zoneDirs(config.Zones)...) {
		if err := e.owner.canEnter(dir); err != nil {
			return nil, err
		}
	}
	if err := e.canSee(context.Background()); err != nil {
		return nil, err
	}
	if e.installations = findInstallations(config.ExtraBinDirs); len(e.installations) == 0 {
		return nil, platform.Unavailable(nil, "No PostgreSQL was found on this machine. Install one, on Debian with: apt-get install postgresql. Or name the directory of its programs in CHANGEOVER_POSTGRES_BIN.")
	}
	if e.pooler = findPooler(config.PgBouncer, config.ExtraBinDirs); e.pooler == nil && config.PgBouncer != "" {
		return nil, platform.Unavailable(nil, "%s is no PgBouncer that runs here. Name another one in CHANGEOVER_PGBOUNCER, or unset it.", config.PgBouncer)
	}
	if e.sockets, err = e.makeSocketDirectory(); err != nil {
		return nil, err
	}
	// Parsed once, so that a strange PG* variable in the environment is an error
	// here and not in the middle of an operation. The search path is for safety: a
	// superuser must not run a function or an operator that an app put in its way.
	e.admin, err = pgx.ParseConfig(fmt.Sprintf("host=%s port=5432 user=%s dbname=postgres sslmode=disable connect_timeout=10 application_name=changeover target_session_attrs=any search_path=pg_catalog",
		quoteConninfo(e.sockets), AdminRole))
	if err != nil {
		return nil, fmt.Errorf("admin connection settings: %w", err)
	}
	return e, nil
}

// Installations are the PostgreSQL majors found, newest first.
func (e *Engine) Installations() []engine.Installation {
	return append([]engine.Installation(nil), e.installations...)
}

// Zones are the names of the places a server can be in.
func (e *Engine) Zones() []string {
	names := make([]string, len(e.config.Zones))
	for i, z := range e.config.Zones {
		names[i] = z.Name
	}
	return names
}

// Host is the address that apps connect to.
func (e *Engine) Host() string {
	if e.config.PublicHost != "" {
		return e.config.PublicHost
	}
	return e.config.DatabaseHost
}

// Admin is how the program itself connects to s, as superuser over the private socket.
func (e *Engine) Admin(s engine.Server, database string) *pgx.ConnConfig {
	return e.adminConfig(s.Port, database)
}

func (e *Engine) adminConfig(port int, database string) *pgx.ConnConfig {
	config := e.admin.Copy()
	config.Port = uint16(port)
	config.Database = database
	return config
}

// installation is the PostgreSQL of that major.
func (e *Engine) installation(major int) (engine.Installation, error) {
	for _, i := range e.installations {
		if i.Major == major {
			return i, nil
		}
	}
	return engine.Installation{}, platform.Unavailable(nil, "PostgreSQL %d is not installed on this machine any more. Install it again, or name the directory of its programs in CHANGEOVER_POSTGRES_BIN.", major)
}

// program is the path of one of that major's programs.
func (e *Engine) program(major int, name string) (string, error) {
	i, err := e.installation(major)
	if err != nil {
		return "", err
	}
	return filepath.Join(i.BinDir, name), nil
}

func zoneDirs(zones []Zone) []string {
	dirs := make([]string, len(zones))
	for i, z := range zones {
		dirs[i] = z.Dir
	}
	return dirs
}

// makeDirectory makes dir where it is missing and gives its real path: the
// kernel names working directories by real paths, and we compare with those.
func makeDirectory(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return "", platform.Unavailable(err, "The directory %s cannot be made. Make it, or choose another one.", dir)
	}
	return filepath.EvalSymlinks(abs)
}
