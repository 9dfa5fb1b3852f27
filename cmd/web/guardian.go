package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"changeover/internal/jobs"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/engine/local"
	"changeover/internal/platform/guardian"
)

// guardCommandName starts this program as a guardian: it is for the program
// itself, so the usage does not name it.
const guardCommandName = "guard-pools"

// guardFor is how long a guardian tries: longer than a client of a pool waits.
const guardFor = 150 * time.Second

// guard starts a guardian of what is held.
func guard(e *local.Engine) func(jobs.Holding) (jobs.Guardian, error) {
	return func(h jobs.Holding) (jobs.Guardian, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		dir, err := e.GuardianDir()
		if err != nil {
			return nil, err
		}
		brief, err := json.Marshal(h)
		if err != nil {
			return nil, err
		}
		g, err := guardian.Start([]string{self, guardCommandName}, os.Environ(), dir, brief)
		if err != nil {
			return nil, err // not a nil *Guardian in an interface
		}
		return g, nil
	}
}

// guardCommand is the guardian: docs/connection-pools.md tells what it does.
func guardCommand(ctx context.Context, cfg config, log *slog.Logger) error {
	w, err := guardian.Begin(os.Stdin)
	if err != nil {
		return err
	}
	var h jobs.Holding
	if err := json.Unmarshal(w.Brief, &h); err != nil {
		return fmt.Errorf("the brief is not understood: %w", err)
	}
	e, err := openEngine(cfg, log)
	if err != nil {
		return err
	}
	w.Ready()
	if !w.Abandoned(ctx) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, guardFor)
	defer cancel()
	if err := h.LetGo(ctx, e, log); err != nil && !errors.Is(err, engine.ErrStaleEpoch) {
		return err
	}
	return nil
}
