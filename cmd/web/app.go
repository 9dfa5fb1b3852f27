package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/outgoing"
	"changeover/static"

	"github.com/gorilla/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// servers is what the pages need of the engine.
type servers interface {
	Installations() []engine.Installation
	Zones() []string
	Disk(zone string) (free, total int64, err error)
	Admin(s engine.Server, database string) *pgx.ConnConfig
	Host() string
}

// app is the web side of the program: what every handler works with.
type app struct {
	cfg       config
	log       *slog.Logger
	pool      *pgxpool.Pool
	sealer    *db.Sealer
	catalogue platform.Catalogue
	engine    servers
	jobs      *jobs.Jobs
	files     *static.Files
	hosts     *hosts
	passwords *passwords
	byAddress *attemptLimit
	byAccount *attemptLimit
	byMailbox *attemptLimit
	byFactor  *attemptLimit
	byInviter *attemptLimit
	recent    *recentForms
	hub       *hub
	family    *family
	outgoing  *outgoing.Dialer
	// identities is nil where no identity provider is set.
	identities *identities
	looks      *looks
	counts     *requestCounts
	version    string
	startedAt  time.Time

	socketBuffers websocket.BufferPool
	ready         atomic.Bool // River and the engine are up
}

// newApp makes the web side of parts that are ready. listening is the address
// that answers.
func newApp(cfg config, log *slog.Logger, pool *pgxpool.Pool, sealer *db.Sealer, catalogue platform.Catalogue, engine servers, procedures *jobs.Jobs, listening net.Addr) (*app, error) {
	files, err := static.Load()
	if err != nil {
		return nil, err
	}
	hashing, err := newPasswords(standardCost(), runtime.NumCPU())
	if err != nil {
		return nil, err
	}
	a := &app{
		cfg: cfg, log: log, pool: pool, sealer: sealer, catalogue: catalogue, engine: engine, jobs: procedures, files: files,
		hosts: newHosts(cfg, listening), passwords: hashing,
		// One person mistypes a few times; a machine tries thousands. An address
		// may hold an office, an account is one person's.
		byAddress: newAttemptLimit(3*time.Second, 20, 10000),
		byAccount: newAttemptLimit(30*time.Second, 10, 10000),
		byFactor:  newAttemptLimit(30*time.Second, 10, 10000),
		// Links that anybody can have mailed to somebody.
		byMailbox: newAttemptLimit(20*time.Minute, 3, 10000),
		byInviter: newAttemptLimit(3*time.Minute, 20, 10000),
		outgoing:  outgoingDialer(cfg),
		looks:     &looks{all: map[string]*aLook{}},
		counts:    &requestCounts{routes: map[string]*routeCount{}},
		recent:    &recentForms{forms: map[[32]byte]*sentForm{}},
		version:   shortVersion(), startedAt: time.Now(), socketBuffers: &sync.Pool{},
	}
	if cfg.Provider != nil {
		a.identities = &identities{identityProvider: cfg.Provider, client: a.outgoing.Client(10 * time.Second), back: cfg.Link("/sign-in/provider/return")}
	}
	a.hub = newHub(log, a.renderTopic, a.allowTopics)
	a.family = &family{read: func(ctx context.Context) ([]db.DatabaseWithServer, error) { return db.ListRunning(ctx, a.pool) }}
	return a, nil
}

func (a *app) asset(name string) string { return a.files.URL(name) }

// server is the HTTP server around the routes.
func (a *app) server() *http.Server {
	return &http.Server{
		Handler:           a.router(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
}

// hear listens to the control database's live channel until it breaks.
func (a *app) hear(ctx context.Context, listening func(), payload func(string)) error {
	return db.Listen(ctx, a.pool, listening, payload)
}
