package switching

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	built "changeover/bench/program"
)

// Product is the real program, built from this tree, in a home of its own,
// driven over its API with a token. It has one app with one database, and is the
// part of a Side that every kind of switch shares.
type Product struct {
	built.Program
	API *built.API

	App    string
	Leader Database
	Plan   int // of the leader, index of Plans

	variable string // the config var that the app reads
	log      *os.File
}

// Database is one add-on of the program, with its own URL.
type Database struct{ Name, URL string }

// Plans are what the database goes to and comes back from.
var Plans = [2]string{"standard-2", "standard-3"}

const appName = "ledger"

// newProduct builds and starts the program with its state in home/s, and
// creates the app and its database. What is returned must be closed, also
// together with an error, unless it is nil.
func newProduct(ctx context.Context, home string, b Benchmark, s Settings) (*Product, error) {
	if err := os.MkdirAll(home, 0o711); err != nil {
		return nil, err
	}
	addr, err := built.FreeAddr()
	if err != nil {
		return nil, err
	}
	p := &Product{Program: built.Program{Binary: filepath.Join(home, "changeover"), Home: filepath.Join(home, "s"), Addr: addr}, App: appName}
	fmt.Fprintln(s.Logger, "building the program")
	if err := built.Build(ctx, p.Binary); err != nil {
		return nil, err
	}
	if p.log, err = os.Create(filepath.Join(home, "program.log")); err != nil {
		return nil, err
	}
	p.Stdout, p.Stderr = p.log, p.log
	fmt.Fprintln(s.Logger, "starting the program")
	if err := p.begin(ctx); err != nil {
		return p, err
	}
	p.variable = "DATABASE_URL"
	if !b.Pooled {
		return p, nil
	}
	p.variable = "DATABASE_CONNECTION_POOL_URL"
	return p, p.API.Call(ctx, http.MethodPost, "/databases/"+p.Leader.Name+"/attachments", url.Values{"app": {p.App}, "way": {"pool"}}, nil)
}

// begin starts the program and makes the app and its database.
func (p *Product) begin(ctx context.Context) error {
	if err := p.Start(ctx); err != nil {
		log, _ := os.ReadFile(p.log.Name())
		return fmt.Errorf("%w: %s", err, log[max(0, len(log)-3000):])
	}
	var err error
	if p.API, err = p.Token(ctx, "bench@example.com"); err != nil {
		return err
	}
	if err := p.API.Call(ctx, http.MethodPost, "/apps", url.Values{"name": {p.App}}, nil); err != nil {
		return err
	}
	made, err := p.API.Start(ctx, "/databases", url.Values{"app": {p.App}, "plan": {Plans[p.Plan]}})
	if err != nil {
		return err
	}
	p.Leader, err = p.Reveal(ctx, made.Database)
	return err
}

// Reveal is the database with its own URL as it is now.
func (p *Product) Reveal(ctx context.Context, name string) (Database, error) {
	url, err := p.API.Reveal(ctx, name)
	return Database{name, url}, err
}

// Name is what the table calls it.
func (p *Product) Name() string { return "program" }

// Source reads the URL among the app's config vars, as the app would.
func (p *Product) Source(ctx context.Context) (string, error) {
	var vars map[string]any
	if err := p.API.Call(ctx, http.MethodGet, "/apps/"+p.App+"/config-vars", nil, &vars); err != nil {
		return "", err
	}
	value, _ := vars[p.variable].(string)
	return value, nil
}

// WaitUntilFollowable waits for the first full checkpoint of the database after
// it was switched to another server: until then it can be neither followed nor
// upgraded.
func (p *Product) WaitUntilFollowable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	for {
		var leader struct {
			ForkReady bool `json:"fork_ready"`
		}
		err := p.API.Call(ctx, http.MethodGet, "/databases/"+p.Leader.Name, nil, &leader)
		if err != nil || leader.ForkReady {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s cannot be followed yet, after at most 10 minutes as the leader: %w", p.Leader.Name, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// OutcomeOf is an operation's steps with their times.
func OutcomeOf(o built.Operation) Outcome {
	var result Outcome
	for _, s := range o.Steps {
		if s.MS != nil {
			result.Steps = append(result.Steps, Step{Name: s.Name, Took: time.Duration(*s.MS * float64(time.Millisecond)), InOutage: s.Downtime, Began: s.StartedAt})
		}
	}
	if o.Switch != nil && o.Switch.OutageMS != nil {
		result.ClaimedMS = *o.Switch.OutageMS
	}
	if o.Switch != nil && o.Switch.HeldMS != nil {
		result.ClaimedMS = *o.Switch.HeldMS
	}
	return result
}

// Close ends the program and its servers.
func (p *Product) Close(ctx context.Context) error {
	defer p.log.Close()
	return p.StopAll(ctx)
}

// settingsOf reads from the program's own server what the peer's must have,
// too: what they cost must be the same for both.
func settingsOf(ctx context.Context, url string) (map[string]string, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `
		select name, current_setting(name) from pg_settings where name in (
		  'autovacuum', 'bgwriter_delay', 'checkpoint_completion_target', 'checkpoint_timeout', 'commit_delay',
		  'effective_cache_size', 'fsync', 'full_page_writes', 'hot_standby_feedback', 'jit', 'log_checkpoints',
		  'log_min_error_statement', 'maintenance_work_mem', 'max_connections', 'max_locks_per_transaction',
		  'max_prepared_transactions', 'max_replication_slots', 'max_wal_senders', 'max_wal_size',
		  'max_worker_processes', 'min_wal_size', 'shared_buffers', 'ssl_min_protocol_version',
		  'synchronous_commit', 'wal_buffers', 'wal_compression', 'wal_keep_size', 'wal_level', 'wal_log_hints',
		  'wal_receiver_status_interval', 'wal_retrieve_retry_interval', 'wal_sync_method', 'work_mem')`)
	if err != nil {
		return nil, err
	}
	type setting struct{ Name, Value string }
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[setting])
	like := map[string]string{}
	for _, s := range found {
		like[s.Name] = s.Value
	}
	return like, err
}
