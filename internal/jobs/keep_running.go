package jobs

import (
	"context"

	"changeover/internal/db"
)

// keepRunning starts every server that should run and does not: after a reboot,
// after a crash. Fenced ones start in recovery. What an operation holds stopped
// is that operation's. That they were found stopped is recorded of all before
// the first is started, so that the notice comes also when the program dies
// before it has told, and tells one surprise from many servers of one reboot.
func (j *Jobs) keepRunning(ctx context.Context) error {
	servers, err := db.ServersToRun(ctx, j.Pool)
	if err != nil {
		return err
	}
	var stopped, again, still []int64
	for _, s := range servers {
		server, err := j.engineServer(s.Server)
		if err != nil {
			return err
		}
		status, err := j.Engine.Status(ctx, server)
		switch {
		case err != nil:
		case !status.Running:
			if err := db.SetServerFoundStopped(ctx, j.Pool, s.ID); err != nil {
				return err
			}
			stopped = append(stopped, s.ID)
		case s.FoundStoppedAt != nil:
			again = append(again, s.ID)
		}
	}
	for _, id := range stopped {
		if err := j.startServer(ctx, id); err != nil {
			if !isStale(err) {
				// Its page shows why; the next look tries again.
				j.Log.Error("a server that should run does not start", "server", id, "error", err)
			}
			still = append(still, id)
			continue
		}
		if err := db.SetServerRunsAgain(ctx, j.Pool, id); err != nil {
			return err
		}
		again = append(again, id)
	}
	return j.tellRestarted(ctx, again, still)
}

// startServer takes its epoch before it looks once more: an operation that
// claims the server later has a higher one, and this start is refused as soon as
// that operation has acted. For a server that is claimed already it acts with
// the epoch of the claim, so that it does not overtake the operation.
func (j *Jobs) startServer(ctx context.Context, id int64) error {
	epoch, err := db.NextEpoch(ctx, j.Pool)
	if err != nil {
		return err
	}
	servers, err := db.ServersToRun(ctx, j.Pool)
	if err != nil {
		return err
	}
	for _, s := range servers {
		if s.ID != id {
			continue
		}
		if s.ClaimEpoch != nil {
			epoch = *s.ClaimEpoch
		}
		server, err := j.engineServer(s.Server)
		if err != nil {
			return err
		}
		j.Log.Info("a server that should run is started", "server", s.ID, "fenced", s.Fenced)
		if err := j.Engine.Start(ctx, epoch, server); err != nil {
			return err
		}
		return j.tidySlots(ctx, server)
	}
	return nil
}
