package main

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

// program is the real program, built from this tree, in a home of its own,
// driven over its API with a token.
type program struct {
	built.Program
	log *os.File
	api *built.API

	app              string
	leader, follower database
	fenced           string // the last leader, until it is destroyed
	plan             int    // of the leader, index of plans
}

// database is one add-on of the program.
type database struct{ name, url string }

// plans are what the database goes to and comes back from.
var plans = [2]string{"standard-2", "standard-3"}

const appName = "ledger"

// newProgram builds and starts the program with its state in home/s, and
// creates the app and its database. What is returned must be closed, also
// together with an error, unless it is nil.
func newProgram(ctx context.Context, home string, s settings) (*program, error) {
	if err := os.MkdirAll(home, 0o711); err != nil {
		return nil, err
	}
	addr, err := built.FreeAddr()
	if err != nil {
		return nil, err
	}
	p := &program{Program: built.Program{Binary: filepath.Join(home, "changeover"), Home: filepath.Join(home, "s"), Addr: addr}, app: appName}
	fmt.Fprintln(s.logger, "building the program")
	if err := built.Build(ctx, p.Binary); err != nil {
		return nil, err
	}
	if p.log, err = os.Create(filepath.Join(home, "program.log")); err != nil {
		return nil, err
	}
	p.Stdout, p.Stderr = p.log, p.log
	fmt.Fprintln(s.logger, "starting the program")
	return p, p.begin(ctx)
}

// begin starts the program and makes the app and its database.
func (p *program) begin(ctx context.Context) error {
	if err := p.Start(ctx); err != nil {
		log, _ := os.ReadFile(p.log.Name())
		return fmt.Errorf("%w: %s", err, log[max(0, len(log)-3000):])
	}
	var err error
	if p.api, err = p.Token(ctx, "bench@example.com"); err != nil {
		return err
	}
	return p.create(ctx)
}

func (p *program) create(ctx context.Context) error {
	if err := p.api.Call(ctx, http.MethodPost, "/apps", url.Values{"name": {p.app}}, nil); err != nil {
		return err
	}
	made, err := p.api.Start(ctx, "/databases", url.Values{"app": {p.app}, "plan": {plans[p.plan]}})
	if err != nil {
		return err
	}
	p.leader, err = p.reveal(ctx, made.Database)
	return err
}

// reveal is the database with its own URL.
func (p *program) reveal(ctx context.Context, name string) (database, error) {
	url, err := p.api.Reveal(ctx, name)
	return database{name, url}, err
}

func (p *program) name() string { return "program" }

func (p *program) urls() (leader, follower string) { return p.leader.url, p.follower.url }

// source reads DATABASE_URL among the app's config vars, as the app would.
func (p *program) source(ctx context.Context) (string, error) {
	var vars map[string]any
	if err := p.api.Call(ctx, http.MethodGet, "/apps/"+p.app+"/config-vars", nil, &vars); err != nil {
		return "", err
	}
	value, _ := vars["DATABASE_URL"].(string)
	return value, nil
}

// prepare destroys the old leader of the last switch and makes a follower on
// the other plan.
func (p *program) prepare(ctx context.Context) error {
	if p.fenced != "" {
		if _, err := p.api.Start(ctx, "/databases/"+p.fenced+"/destroy", url.Values{"confirm": {p.app}}); err != nil {
			return err
		}
		p.fenced = ""
	}
	if err := p.waitUntilFollowable(ctx); err != nil {
		return err
	}
	made, err := p.api.Start(ctx, "/databases/"+p.leader.name+"/followers", url.Values{"app": {p.app}, "plan": {plans[1-p.plan]}})
	if err != nil {
		return err
	}
	p.follower, err = p.reveal(ctx, made.Database)
	return err
}

// waitUntilFollowable waits for the leader's first full checkpoint after it was
// promoted: until then it cannot be followed.
func (p *program) waitUntilFollowable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	for {
		var leader struct {
			ForkReady bool `json:"fork_ready"`
		}
		err := p.api.Call(ctx, http.MethodGet, "/databases/"+p.leader.name, nil, &leader)
		if err != nil || leader.ForkReady {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s cannot be followed yet, after at most 10 minutes as the leader: %w", p.leader.name, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *program) changeOver(ctx context.Context) (outcome, error) {
	done, err := p.api.Start(ctx, "/databases/"+p.leader.name+"/changeover",
		url.Values{"follower": {p.follower.name}, "confirm_jobs": {"true"}})
	if err != nil {
		return outcome{}, err
	}
	p.fenced, p.leader, p.follower = p.leader.name, p.follower, database{}
	p.plan = 1 - p.plan
	return outcomeOf(done), nil
}

// outcomeOf is a changeover's steps with their times.
func outcomeOf(o built.Operation) outcome {
	down := map[string]bool{"fence_writes": true, "wait_until_zero_behind": true, "unfollow": true, "check_writable": true, "promote": true}
	var result outcome
	for _, s := range o.Steps {
		if s.MS != nil {
			result.steps = append(result.steps, step{s.Name, time.Duration(*s.MS * float64(time.Millisecond)), down[s.Name]})
		}
	}
	if o.Switch != nil && o.Switch.OutageMS != nil {
		result.claimedMS = *o.Switch.OutageMS
	}
	return result
}

// close ends the program and its servers.
func (p *program) close(ctx context.Context) error {
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
