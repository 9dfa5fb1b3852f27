package main

import (
	"context"
	"log/slog"

	"changeover/internal/db"
	"changeover/internal/platform/engine/local"

	"github.com/jackc/pgx/v5/pgxpool"
)

// openControlPool brings the control database up to date as its owner, and
// gives a pool of the program's own role, which owns nothing and only adds to
// the audit. On a server of somebody else's the two are the same role unless
// CHANGEOVER_OWNER_DATABASE_URL names the owner.
func openControlPool(ctx context.Context, cfg config, engine *local.Engine, log *slog.Logger) (*pgxpool.Pool, error) {
	ownerURL, url := or(cfg.OwnerDatabaseURL, cfg.DatabaseURL), cfg.DatabaseURL
	if url == "" {
		var err error
		if ownerURL, err = engine.Control(ctx); err != nil {
			return nil, err
		}
		url = engine.ControlProgramString()
	}
	owner, err := db.Open(ctx, ownerURL)
	if err != nil {
		return nil, err
	}
	defer owner.Close()
	if err := db.Migrate(ctx, owner); err != nil {
		return nil, err
	}
	pool, err := db.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	role, owns, err := db.OwnsAudit(ctx, pool)
	switch {
	case err == nil && owns:
		log.Warn("the program's role owns the audit, so it could remove rows of it; DATABASE_URL should name a role that owns nothing, and CHANGEOVER_OWNER_DATABASE_URL the owner", "role", role)
	case err == nil:
		err = db.Grant(ctx, owner, role)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}
