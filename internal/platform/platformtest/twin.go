package platformtest

import (
	"context"
	"strings"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

// Twin is another database of a member's shared cluster, with the same role, to
// which the member is copied.
type Twin struct {
	DatabaseName, URL string

	platform *Platform
	of       *Server
}

// Twin is a twin of a member that is not made yet.
func (p *Platform) Twin(of *Server) *Twin {
	name := platform.RandomToken(14)
	return &Twin{DatabaseName: name, URL: strings.Replace(of.URL, "/"+of.DatabaseName+"?", "/"+name+"?", 1), platform: p, of: of}
}

func (w *Twin) target() engine.SharedDatabase {
	d := engine.SharedDatabase{Credentials: w.of.Credentials, Connections: 40, TempBytes: 1 << 20}
	d.DatabaseName = w.DatabaseName
	return d
}

// Copy makes it, closed to the app, from what a snapshot of the member shows.
func (w *Twin) Copy(ctx context.Context, epoch int64, snapshot string) error {
	if err := w.platform.EmptyDatabase(ctx, epoch, w.of.Server, w.target()); err != nil {
		return err
	}
	return w.platform.CopyDatabase(ctx, epoch, engine.DatabaseCopy{From: w.of.Server, To: w.of.Server, FromDatabase: w.of.DatabaseName,
		Database: w.DatabaseName, RoleName: w.of.RoleName, Snapshot: snapshot})
}

// Open lets the app into it.
func (w *Twin) Open(ctx context.Context, epoch int64) error {
	return w.platform.CreateDatabase(ctx, epoch, w.of.Server, w.target())
}
