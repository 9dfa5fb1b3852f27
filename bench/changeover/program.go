package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// program is the real program, built from this tree, in a home of its own,
// driven over its API with a token.
type program struct {
	binary string
	env    []string
	log    *os.File
	server *exec.Cmd
	api    *api

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

// newProgram builds and starts the program with its state in home/changeover,
// and creates the app and its database. What is returned must be closed, also
// together with an error, unless it is nil.
func newProgram(ctx context.Context, home string, s settings) (*program, error) {
	if err := os.MkdirAll(home, 0o711); err != nil {
		return nil, err
	}
	p := &program{binary: filepath.Join(home, "changeover"), app: appName}
	fmt.Fprintln(s.logger, "building the program")
	build := exec.CommandContext(ctx, "go", "build", "-o", p.binary, "changeover/cmd/web")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the program: %w: %s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := listener.Addr().String()
	listener.Close()
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "CHANGEOVER_") && !strings.HasPrefix(setting, "DATABASE_URL=") {
			p.env = append(p.env, setting)
		}
	}
	if bin := os.Getenv("CHANGEOVER_POSTGRES_BIN"); bin != "" {
		p.env = append(p.env, "CHANGEOVER_POSTGRES_BIN="+bin)
	}
	p.env = append(p.env, "CHANGEOVER_HOME="+filepath.Join(home, "s"), "CHANGEOVER_ADDR="+addr)
	if p.log, err = os.Create(filepath.Join(home, "program.log")); err != nil {
		return nil, err
	}
	fmt.Fprintln(s.logger, "starting the program")
	return p, errors.Join(p.start(ctx, "http://"+addr), p.create(ctx))
}

func (p *program) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.binary, args...)
	cmd.Env = p.env
	return cmd
}

// start runs the program and returns when it is ready and there is a token.
func (p *program) start(ctx context.Context, base string) error {
	p.server = p.command(context.WithoutCancel(ctx))
	p.server.Stdout, p.server.Stderr = p.log, p.log
	// A Ctrl-C at the terminal is ours to answer, by ending it in order.
	p.server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.server.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for !isReady(ctx, base) {
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(p.log.Name())
			return fmt.Errorf("the program does not get ready: %s", log[max(0, len(log)-3000):])
		case <-time.After(100 * time.Millisecond):
		}
	}
	var complaints bytes.Buffer
	cmd := p.command(ctx, "token", "-email", "bench@example.com")
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("changeover token: %w: %s", err, complaints.String())
	}
	p.api = newAPI(base, strings.TrimSpace(string(out)))
	return nil
}

func isReady(ctx context.Context, base string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (p *program) create(ctx context.Context) error {
	if p.api == nil {
		return nil // it did not start: that error is enough
	}
	if err := p.api.call(ctx, http.MethodPost, "/apps", url.Values{"name": {p.app}}, nil); err != nil {
		return err
	}
	made, err := p.api.start(ctx, "/databases", url.Values{"app": {p.app}, "plan": {plans[p.plan]}})
	if err != nil {
		return err
	}
	p.leader, err = p.reveal(ctx, made.Database)
	return err
}

// reveal is the database with its own URL.
func (p *program) reveal(ctx context.Context, name string) (database, error) {
	var revealed struct {
		URL string `json:"url"`
	}
	err := p.api.call(ctx, http.MethodPost, "/databases/"+name+"/url", url.Values{}, &revealed)
	if err == nil && revealed.URL == "" {
		err = fmt.Errorf("the URL of %s is empty", name)
	}
	return database{name, revealed.URL}, err
}

func (p *program) name() string { return "program" }

func (p *program) urls() (leader, follower string) { return p.leader.url, p.follower.url }

// source reads DATABASE_URL among the app's config vars, as the app would.
func (p *program) source(ctx context.Context) (string, error) {
	var vars map[string]any
	if err := p.api.call(ctx, http.MethodGet, "/apps/"+p.app+"/config-vars", nil, &vars); err != nil {
		return "", err
	}
	value, _ := vars["DATABASE_URL"].(string)
	return value, nil
}

// prepare destroys the old leader of the last switch and makes a follower on
// the other plan.
func (p *program) prepare(ctx context.Context) error {
	if p.fenced != "" {
		if _, err := p.api.start(ctx, "/databases/"+p.fenced+"/destroy", url.Values{"confirm": {p.app}}); err != nil {
			return err
		}
		p.fenced = ""
	}
	if err := p.waitUntilFollowable(ctx); err != nil {
		return err
	}
	made, err := p.api.start(ctx, "/databases/"+p.leader.name+"/followers", url.Values{"app": {p.app}, "plan": {plans[1-p.plan]}})
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
		err := p.api.call(ctx, http.MethodGet, "/databases/"+p.leader.name, nil, &leader)
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
	done, err := p.api.start(ctx, "/databases/"+p.leader.name+"/changeover",
		url.Values{"follower": {p.follower.name}, "confirm_jobs": {"true"}})
	if err != nil {
		return outcome{}, err
	}
	p.fenced, p.leader, p.follower = p.leader.name, p.follower, database{}
	p.plan = 1 - p.plan
	return done.outcome(), nil
}

// close ends the program first, which would start again what it finds stopped,
// and then its servers.
func (p *program) close(ctx context.Context) error {
	defer p.log.Close()
	if p.server.Process == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := p.server.Process.Signal(syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		_ = p.server.Wait() // its status says nothing: it was asked to end
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		err = errors.Join(err, errors.New("the program does not end after SIGTERM"), p.server.Process.Kill())
	}
	if out, stopErr := p.command(ctx, "stop-all").CombinedOutput(); stopErr != nil {
		err = errors.Join(err, fmt.Errorf("changeover stop-all: %w: %s", stopErr, out))
	}
	return err
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
