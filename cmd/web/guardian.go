package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"changeover/internal/jobs"
	"changeover/internal/platform/engine/local"
)

// guard starts this program as a guardian of what is held, by guardian.Command:
// it is for the program itself, so the usage does not name it.
func guard(cfg config, e *local.Engine) func(jobs.Holding) (jobs.Guardian, error) {
	return func(h jobs.Holding) (jobs.Guardian, error) {
		program, err := thisProgram()
		if err != nil {
			return nil, err
		}
		dir, err := e.GuardianDir()
		if err != nil {
			return nil, err
		}
		return jobs.StartGuardian(program, guardianEnv(os.Environ(), cfg), dir, h)
	}
}

// guardianEnv is the environment env with absolute paths in it: a guardian stands
// in another directory than this program.
func guardianEnv(env []string, cfg config) []string {
	return append(env, "CHANGEOVER_HOME="+cfg.Home,
		"CHANGEOVER_POSTGRES_BIN="+strings.Join(cfg.PostgresBin, string(filepath.ListSeparator)),
		"CHANGEOVER_PGBOUNCER="+cfg.PgBouncer)
}

// thisProgram is the file of this very program. After an upgrade in place another one
// stands where it was started from.
func thisProgram() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// guardCommand is the guardian: docs/connection-pools.md tells what it does.
func guardCommand(ctx context.Context, cfg config, log *slog.Logger) error {
	return jobs.BeGuardian(ctx, os.Stdin, func() (jobs.Engine, error) { return openEngine(cfg, log) }, log)
}
