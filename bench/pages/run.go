package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"changeover/bench/cluster"
	"changeover/bench/program"
	"changeover/internal/db"
)

// found is everything that was measured.
type found struct {
	pages []pageFigures
	live  liveFigures
	load  string // of the machine, before and after
}

// pair is the one leader and the one follower with servers behind them.
type pair struct{ app, leader, follower, url string }

// run makes everything, measures and leaves nothing behind.
func run(ctx context.Context, s settings) (f found, err error) {
	f.load = loadAverage()
	home, err := makeHome()
	if err != nil {
		return f, err
	}
	defer func() {
		for _, pid := range cluster.ProcessesIn(home) {
			// Only a server that this run made can be at home here.
			err = errors.Join(err, fmt.Errorf("process %d was left in %s", pid, home), syscall.Kill(pid, syscall.SIGQUIT))
		}
		if s.keep {
			fmt.Fprintf(s.logger, "kept: %s\n", home)
			return
		}
		err = errors.Join(err, os.RemoveAll(home))
	}()
	p := &program.Program{Binary: filepath.Join(home, "changeover"), Home: filepath.Join(home, "s")}
	if p.Addr, err = program.FreeAddr(); err != nil {
		return f, err
	}
	fmt.Fprintln(s.logger, "building and starting the program")
	if err := program.Build(ctx, p.Binary); err != nil {
		return f, err
	}
	log, err := os.Create(filepath.Join(home, "program.log"))
	if err != nil {
		return f, err
	}
	defer log.Close()
	p.Stdout, p.Stderr = log, log
	defer func() { err = errors.Join(err, p.StopAll(context.WithoutCancel(ctx))) }()
	if err := p.Start(ctx); err != nil {
		text, _ := os.ReadFile(log.Name())
		return f, fmt.Errorf("%w: %s", err, text[max(0, len(text)-3000):])
	}
	return f, f.measure(ctx, p, s)
}

// measure fills the control database of the running program and measures.
func (f *found) measure(ctx context.Context, p *program.Program, s settings) error {
	api, err := p.Token(ctx, "bench@example.com")
	if err != nil {
		return err
	}
	fmt.Fprintln(s.logger, "making a leader and a follower")
	real, err := makePair(ctx, api)
	if err != nil {
		return err
	}
	pool, err := openControl(ctx, p.Home)
	if err != nil {
		return err
	}
	defer pool.Close()
	sealer, err := loadSealer(p.Home)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.logger, "filling the control database: %d databases, %d notices, %d lag samples\n", s.databases, s.notices, s.samples)
	h, err := seed(ctx, pool, sealer, s)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	background := make(chan error, 2)
	go func() { background <- h.monitor(ctx, pool) }()
	go func() { background <- write(ctx, real.url) }()

	err = func() error {
		sessions, err := openSessions(ctx, pool, s.browsers)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.logger, "asking for each page %d times\n", s.requests)
		if f.pages, err = measurePages(ctx, p.URL(), sessions[0], api, pagesOf(h, real), s.requests); err != nil {
			return err
		}
		pid, err := p.WorkerPID()
		if err != nil {
			return err
		}
		fmt.Fprintf(s.logger, "opening %d browsers\n", s.browsers)
		f.live, err = measureLive(ctx, p.URL(), sessions, "/databases/"+real.leader, process(pid), s)
		return err
	}()
	f.load += " before, " + loadAverage() + " after"
	stop()
	return errors.Join(err, <-background, <-background)
}

// makePair makes the app, its leader and a follower.
func makePair(ctx context.Context, api *program.API) (pair, error) {
	p := pair{app: "live"}
	made, err := api.Start(ctx, "/databases", url.Values{"app": {p.app}, "plan": {"standard-0"}})
	if err != nil {
		return p, err
	}
	p.leader = made.Database
	if p.url, err = api.Reveal(ctx, p.leader); err != nil {
		return p, err
	}
	if made, err = api.Start(ctx, "/databases/"+p.leader+"/followers", url.Values{"app": {p.app}, "plan": {"standard-0"}}); err != nil {
		return p, err
	}
	p.follower = made.Database
	return p, nil
}

// write is the app of the leader: a small commit twenty times a second.
func write(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "create table orders (id bigint generated always as identity primary key, at timestamptz not null default now())"); err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := conn.Exec(ctx, "insert into orders default values"); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// openSessions signs every reader in and returns their cookies; how a person
// signs in is no part of this.
func openSessions(ctx context.Context, pool db.Beginner, readers int) ([]*http.Cookie, error) {
	cookies := make([]*http.Cookie, readers)
	err := db.InTx(ctx, pool, func(tx pgx.Tx) error {
		for i := range cookies {
			user, err := db.UserByEmail(ctx, tx, fmt.Sprintf("reader-%d@example.com", i+1))
			if err != nil {
				return err
			}
			token, _, err := db.CreateSession(ctx, tx, user.ID, "127.0.0.1", "bench/pages")
			if err != nil {
				return err
			}
			cookies[i] = &http.Cookie{Name: "changeover-session", Value: token}
		}
		return nil
	})
	return cookies, err
}

// makeHome is a directory with a path short enough for Unix sockets, which the
// unprivileged user can enter.
func makeHome() (string, error) {
	programs, err := cluster.Find(0)
	if err != nil {
		return "", err
	}
	home, err := os.MkdirTemp("", "bench")
	if err != nil {
		return "", err
	}
	return home, programs.Own(home)
}

// loadAverage is the machine's load of the last minute, as the kernel tells it.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
