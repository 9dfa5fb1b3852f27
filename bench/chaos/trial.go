package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"changeover/bench/cluster"
	"changeover/bench/ledger"
	"changeover/bench/program"
)

const appName = "chaos"

// trial is the program with one app, its writers, and what happens to them.
type trial struct {
	settings
	program program.Program
	dir     string // of everything; the program's state is in it
	log     *os.File
	api     *program.API
	control *control
	random  *rand.Rand
	began   time.Time
	found   *findings

	lastKnown struct { // servers, for while the control database is away
		sync.Mutex
		list []server
	}
	starting sync.Mutex // one hand at a time starts and stops the program

	fleet  fleet
	direct *ledger.Writers
	pooled *ledger.Writers

	urls struct { // what the app read last; it goes on with that while the program is away
		sync.Mutex
		direct, pool string
	}
}

func newTrial(ctx context.Context, s settings) (*trial, error) {
	programs, err := cluster.Find(0)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return nil, err
	}
	t := &trial{settings: s, dir: dir, random: newRandom(s.seed), found: newFindings()}
	if err := programs.Own(dir); err != nil {
		return nil, err
	}
	if err := t.begin(ctx); err != nil {
		text, _ := os.ReadFile(filepath.Join(dir, "program.log"))
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, text[max(0, len(text)-3000):]), t.close(context.WithoutCancel(ctx)))
	}
	return t, nil
}

// begin builds and starts the program, and makes an app with a leader, a
// follower, a connection pool and its writers.
func (t *trial) begin(ctx context.Context) error {
	addr, err := program.FreeAddr()
	if err != nil {
		return err
	}
	t.program = program.Program{Binary: filepath.Join(t.dir, "changeover"), Home: filepath.Join(t.dir, "s"), Addr: addr}
	if err := program.Build(ctx, t.program.Binary); err != nil {
		return err
	}
	if t.log, err = os.Create(filepath.Join(t.dir, "program.log")); err != nil {
		return err
	}
	t.program.Stdout, t.program.Stderr = t.log, t.log
	if err := t.program.Start(ctx); err != nil {
		return err
	}
	if t.control, err = newControl(t.program.Home); err != nil {
		return err
	}
	if t.api, err = t.program.Token(ctx, "bench@example.com"); err != nil {
		return err
	}
	if err := t.api.Call(ctx, http.MethodPost, "/apps", url.Values{"name": {appName}}, nil); err != nil {
		return err
	}
	made, err := t.api.Start(ctx, "/databases", url.Values{"app": {appName}, "plan": {plans[0]}})
	if err != nil {
		return err
	}
	t.fleet.leader = made.Database
	err = t.api.Call(ctx, http.MethodPost, "/databases/"+t.fleet.leader+"/attachments", url.Values{"app": {appName}, "way": {"pool"}}, nil)
	if err != nil {
		return err
	}
	first, err := t.api.Reveal(ctx, t.fleet.leader)
	if err != nil {
		return err
	}
	if err := ledger.Setup(ctx, first); err != nil {
		return err
	}
	options := ledger.Options{Pace: 20 * time.Millisecond, AllSynchronous: true, AnswerTimeout: 2 * time.Minute}
	t.direct = ledger.Start(context.WithoutCancel(ctx), t.source(&t.urls.direct, "DATABASE_URL"), t.writers, options)
	options.Pooled, options.First = true, 100
	t.pooled = ledger.Start(context.WithoutCancel(ctx), t.source(&t.urls.pool, "DATABASE_CONNECTION_POOL_URL"), t.writers, options)
	t.began = time.Now()
	limited, cancel := context.WithTimeout(ctx, writesWithin)
	defer cancel()
	return errors.Join(t.direct.WaitForCommits(limited, 3), t.pooled.WaitForCommits(limited, 3))
}

// source reads a config var as an app would that keeps what it read last.
func (t *trial) source(kept *string, name string) ledger.URLSource {
	return func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		var vars map[string]any
		err := t.api.Call(ctx, http.MethodGet, "/apps/"+appName+"/config-vars", nil, &vars)
		t.urls.Lock()
		defer t.urls.Unlock()
		if value, _ := vars[name].(string); err == nil && value != "" {
			*kept = value
		}
		if *kept == "" {
			return "", fmt.Errorf("no value of %s was ever read: %w", name, err)
		}
		return *kept, nil
	}
}

// close ends everything that the trial has started.
func (t *trial) close(ctx context.Context) error {
	for _, w := range []*ledger.Writers{t.direct, t.pooled} {
		if w != nil {
			w.Stop()
		}
	}
	if t.control != nil {
		t.control.close()
	}
	err := t.program.StopAll(ctx)
	for _, pid := range cluster.ProcessesIn(t.dir) {
		err = errors.Join(err, fmt.Errorf("process %d was left in %s", pid, t.dir), syscall.Kill(pid, syscall.SIGQUIT))
	}
	if t.log != nil {
		err = errors.Join(err, t.log.Close())
	}
	if t.keep || len(t.found.wrong) > 0 || err != nil {
		fmt.Fprintf(t.logger, "kept: %s\n", t.dir)
		return err
	}
	return errors.Join(err, os.RemoveAll(t.dir))
}

// say tells a person who waits.
func (t *trial) say(format string, args ...any) {
	fmt.Fprintf(t.logger, "%s %s\n", time.Now().UTC().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}

// run does one operation after the other, each with its faults.
func (t *trial) run(ctx context.Context) error {
	for time.Since(t.began) < t.length && ctx.Err() == nil {
		most := min(1, t.most)
		if time.Since(t.began) > t.length/2 {
			most = t.most
		}
		if err := t.turn(ctx, most); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
