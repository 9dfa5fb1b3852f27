package jobs

import (
	"context"

	"changeover/internal/db"
	"changeover/internal/platform"
)

// keepRunning starts every server that should run and does not: after a reboot,
// after a crash. Fenced ones start in recovery. Servers that an operation has
// claimed are that operation's.
func (j *Jobs) keepRunning(ctx context.Context) error {
	servers, err := db.UnclaimedServers(ctx, j.Pool)
	if err != nil {
		return err
	}
	for _, s := range servers {
		server, err := j.engineServer(s)
		if err != nil {
			return err
		}
		status, err := j.Engine.Status(ctx, server)
		if err != nil || status.Running {
			continue
		}
		if err := j.startServer(ctx, s.ID); err != nil {
			// Its page shows why; the next look tries again.
			j.Log.Error("a server that should run does not start", "server", s.ID, "error", err)
		}
	}
	return nil
}

// startServer takes its epoch before it looks whether an operation has claimed
// the server meanwhile: one that claims it later has a higher epoch, and this
// start is refused as soon as that operation has acted.
func (j *Jobs) startServer(ctx context.Context, id int64) error {
	epoch, err := db.NextEpoch(ctx, j.Pool)
	if err != nil {
		return err
	}
	servers, err := db.UnclaimedServers(ctx, j.Pool)
	if err != nil {
		return err
	}
	var s platform.Server
	for _, unclaimed := range servers {
		if unclaimed.ID == id {
			s = unclaimed
		}
	}
	if s.ID == 0 {
		return nil
	}
	server, err := j.engineServer(s)
	if err != nil {
		return err
	}
	j.Log.Info("a server that should run is started", "server", s.ID, "fenced", s.Fenced)
	if err := j.Engine.Start(ctx, epoch, server); err != nil {
		return err
	}
	return j.tidySlots(ctx, server)
}
