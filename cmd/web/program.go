package main

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/engine/local"
	"changeover/internal/platform/mail"
	"changeover/internal/platform/outgoing"
	"changeover/internal/platform/webhook"

	"github.com/jackc/pgx/v5/pgxpool"
)

// program is everything below the web side.
type program struct {
	engine    *local.Engine
	embedded  bool // the control database is ours to keep running
	pool      *pgxpool.Pool
	sealer    *db.Sealer
	catalogue platform.Catalogue
	jobs      *jobs.Jobs
	log       *slog.Logger
}

func openEngine(cfg config, log *slog.Logger) (*local.Engine, error) {
	config := local.Config{
		Home: cfg.Home, DatabaseHost: cfg.DatabaseHost, PortFrom: cfg.FirstPort, PortTo: cfg.LastPort, MemoryScale: cfg.MemoryScale,
		ExtraBinDirs: cfg.PostgresBin, PgBouncer: cfg.PgBouncer, Logger: log,
	}
	if ip := net.ParseIP(cfg.DatabaseHost); ip != nil && ip.IsUnspecified() {
		config.PublicHost = cfg.URL.Hostname()
	}
	if len(cfg.Zones) > 0 {
		config.Zones = []local.Zone{{Name: "a", Dir: cfg.Home}}
		for _, z := range cfg.Zones {
			if z.Name == "a" {
				config.Zones[0].Dir = z.Dir
				continue
			}
			config.Zones = append(config.Zones, local.Zone{Name: z.Name, Dir: z.Dir})
		}
	}
	return local.Open(config)
}

// outgoingDialer is the way out to what people type. The ports of the databases
// and of the dashboard are not for them.
func outgoingDialer(cfg config) *outgoing.Dialer {
	own := []outgoing.PortRange{{From: cfg.FirstPort, To: cfg.LastPort}}
	if _, port, err := net.SplitHostPort(cfg.Addr); err == nil {
		if n, err := strconv.Atoi(port); err == nil {
			own = append(own, outgoing.PortRange{From: n, To: n})
		}
	}
	return outgoing.New(outgoing.Config{Allow: cfg.OutgoingAllow, OwnPorts: own})
}

// startProgram opens the engine and the control database, brings both up to
// date, and makes the procedures ready.
func startProgram(ctx context.Context, cfg config, log *slog.Logger) (*program, error) {
	p := &program{embedded: cfg.DatabaseURL == "", log: log}
	var err error
	if p.engine, err = openEngine(cfg, log); err != nil {
		return nil, &hopelessError{err}
	}
	if p.pool, err = openControlPool(ctx, cfg, p.engine, log); err != nil {
		if isKind(err, platform.KindConflict) {
			return nil, &hopelessError{err} // a newer schema does not get older
		}
		return nil, err
	}
	if err := p.prepare(ctx, cfg); err != nil {
		p.pool.Close()
		return nil, err
	}
	return p, nil
}

func (p *program) prepare(ctx context.Context, cfg config) error {
	var err error
	if p.sealer, err = db.LoadSealer(or(cfg.KeyFile, filepath.Join(cfg.Home, "key"))); err != nil {
		return &hopelessError{err}
	}
	if err := db.CheckSealer(ctx, p.pool, p.sealer); err != nil {
		return &hopelessError{err}
	}
	if p.catalogue, err = platform.ShippedCatalogue(); err != nil {
		return err
	}
	p.jobs, err = jobs.New(jobs.Config{Pool: p.pool, Engine: p.engine, Sealer: p.sealer, Catalogue: p.catalogue, Log: p.log, Elect: true, Guard: guard(cfg, p.engine), Mailer: &mail.Sender{Dialer: outgoingDialer(cfg)},
		Link: cfg.Link, Hooks: &webhook.Sender{Dialer: outgoingDialer(cfg)}, KeepNotices: cfg.KeepNotices})
	return err
}

func (p *program) stop() { p.pool.Close() }

// keepControl starts the embedded control cluster again when it died.
func (p *program) keepControl(ctx context.Context) {
	if !p.embedded {
		return
	}
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ask, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := db.Ping(ask, p.pool)
		cancel()
		if err == nil || ctx.Err() != nil {
			continue
		}
		p.log.Warn("the control database does not answer; looking after it", "error", err)
		if _, err := p.engine.Control(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("the control database could not be started", "error", err)
		}
	}
}
