// Package managed makes servers for benchmarks as the program does, by its own
// engine: with its settings, its copies and its stops, but without its control
// database and its steps.
package managed

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/engine/local"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// Epoch is what everything here acts with: there is one attempt.
const Epoch = 1

// House is an engine in a temporary directory.
type House struct {
	*local.Engine
	home    string
	servers int64
	ports   map[int]bool
}

// Server is a server and the app's way into it.
type Server struct {
	engine.Server
	engine.Credentials
	URL   string
	house *House
}

// Open is an engine in a directory of its own, whose servers get that share of
// their plan's memory. Close ends and removes everything.
func Open(memoryScale float64) (*House, error) {
	home, err := os.MkdirTemp("/tmp", "bench-") // short enough for a socket
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(home, 0o755); err != nil {
		return nil, err
	}
	e, err := local.Open(local.Config{Home: home, MemoryScale: memoryScale})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(home))
	}
	return &House{Engine: e, home: home, ports: map[int]bool{}}, nil
}

// Close ends every server and removes the directory.
func (h *House) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(h.KillAll(ctx), os.RemoveAll(h.home))
}

// Dir is the data directory of a server.
func (h *House) Dir(s engine.Server) string {
	return h.home + "/servers/" + strconv.FormatInt(s.ID, 10) + "/data"
}

func (h *House) server(plan string) (engine.Server, error) {
	catalogue, err := platform.ShippedCatalogue()
	if err != nil {
		return engine.Server{}, err
	}
	of, err := catalogue.Plan(plan)
	if err != nil {
		return engine.Server{}, err
	}
	port, err := h.FreePort(h.ports)
	if err != nil {
		return engine.Server{}, err
	}
	h.ports[port] = true
	h.servers++
	return engine.Server{ID: h.servers, Zone: "a", Port: port, Major: h.Installations()[0].Major, Plan: of}, nil
}

func (h *House) give(s engine.Server, c engine.Credentials, password string) *Server {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(c.RoleName, password), Host: h.Host() + ":" + strconv.Itoa(s.Port), Path: "/" + c.DatabaseName, RawQuery: "sslmode=require"}
	return &Server{Server: s, Credentials: c, URL: u.String(), house: h}
}

// Leader makes and starts an empty leader.
func (h *House) Leader(ctx context.Context, plan string) (*Server, error) {
	s, err := h.server(plan)
	if err != nil {
		return nil, err
	}
	password := platform.RandomToken(32)
	verifier, err := engine.Verifier(password)
	if err != nil {
		return nil, err
	}
	c := engine.Credentials{DatabaseName: "bench", RoleName: "app", Verifier: verifier}
	if err := h.Create(ctx, Epoch, s, c); err != nil {
		return nil, err
	}
	return h.give(s, c, password), h.Start(ctx, Epoch, s)
}

// Slot is the slot through which the server streams.
func (s *Server) Slot() string { return "follower_" + strconv.FormatInt(s.ID, 10) }

// Follower copies leader and returns when the copy streams.
func (h *House) Follower(ctx context.Context, leader *Server) (*Server, error) {
	s, err := h.server(leader.Plan.Name)
	if err != nil {
		return nil, err
	}
	follower := h.give(s, leader.Credentials, "")
	u, err := url.Parse(leader.URL)
	if err != nil {
		return nil, err
	}
	u.Host = h.Host() + ":" + strconv.Itoa(s.Port)
	follower.URL = u.String()
	if err := h.Copy(ctx, Epoch, s, leader.Server, follower.Slot()); err != nil {
		return nil, err
	}
	for {
		progress, err := h.CopyProgress(ctx, s)
		if err != nil {
			return nil, err
		}
		if progress.Failure != "" {
			return nil, errors.New(progress.Failure)
		}
		if progress.Done {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := h.Start(ctx, Epoch, s); err != nil {
		return nil, err
	}
	return follower, follower.CatchUp(ctx, leader)
}

// Admin is an open connection as superuser to the server's database.
func (s *Server) Admin(ctx context.Context) (*pgx.Conn, error) {
	config := s.house.Engine.Admin(s.Server, s.DatabaseName)
	config.RuntimeParams["search_path"] = "public"
	return pgx.ConnectConfig(ctx, config)
}

// Exec runs statements as superuser.
func (s *Server) Exec(ctx context.Context, statements ...string) error {
	conn, err := s.Admin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// CatchUp waits until s has replayed what leader has written by now.
func (s *Server) CatchUp(ctx context.Context, leader *Server) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	from, err := leader.Admin(ctx)
	if err != nil {
		return err
	}
	defer from.Close(context.WithoutCancel(ctx))
	conn, err := s.Admin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	marker, err := postgres.Marker(ctx, from)
	if err != nil {
		return err
	}
	return postgres.ReplayedPast(ctx, conn, marker-1, nil)
}

// Switch makes candidate, which follows leader, the leader and lets the old one
// follow it. It is the order of a planned switch without what makes it safe.
func (h *House) Switch(ctx context.Context, leader, candidate *Server) error {
	conn, err := candidate.Admin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := postgres.CreatePhysicalSlot(ctx, conn, leader.Slot()); err != nil {
		return err
	}
	if err := h.Stop(ctx, Epoch, leader.Server); err != nil {
		return err
	}
	status, err := h.Status(ctx, leader.Server)
	if err != nil {
		return err
	}
	if err := postgres.ReplayedPast(ctx, conn, status.Control.CheckpointLSN, nil); err != nil {
		return err
	}
	if err := h.Promote(ctx, Epoch, candidate.Server); err != nil {
		return err
	}
	return postgres.WaitWritable(ctx, conn)
}

// FollowAgain lets the old leader of a Switch follow the new one.
func (h *House) FollowAgain(ctx context.Context, old, leader *Server) error {
	if err := h.Follow(ctx, Epoch, old.Server, leader.Server, old.Slot()); err != nil {
		return err
	}
	if err := h.Start(ctx, Epoch, old.Server); err != nil {
		return err
	}
	conn, err := old.Admin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := postgres.DropSlot(ctx, conn, leader.Slot()); err != nil {
		return err
	}
	return old.CatchUp(ctx, leader)
}
