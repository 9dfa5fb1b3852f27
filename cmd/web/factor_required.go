package main

import (
	"context"
	"net/http"
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/views/page"

	"github.com/labstack/echo/v4"
)

// needsFactor is whether a second factor is required here and the user has none.
// It asks nobody where none is required.
func (a *app) needsFactor(ctx context.Context, userID int64) (bool, error) {
	if !a.cfg.RequireFactor {
		return false, nil
	}
	factors, err := db.FactorsOf(ctx, a.pool, userID)
	return err == nil && !factors.Any(), err
}

// opensWithoutFactor is whether a route is among those with which somebody gets
// a second factor, or leaves.
func opensWithoutFactor(path string) bool {
	switch path {
	case page.AccountPath, "/sign-out", "/settings/password", "/settings/recovery-codes":
		return true
	}
	return strings.HasPrefix(path, page.AuthenticatorPath) || strings.HasPrefix(path, "/settings/passkeys")
}

// toFactor answers whoever has to get a second factor first.
func toFactor(c echo.Context) error {
	if c.Request().Method == http.MethodGet && c.Request().Header.Get("Upgrade") == "" {
		return seeOther(c, page.FactorPath)
	}
	return platform.Forbidden("A second factor is required here, and you have none. Set one up under Settings first.")
}
