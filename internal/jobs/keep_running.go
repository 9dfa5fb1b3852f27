package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// keepRunning starts every server that should run and does not: after a reboot,
// after a crash. Fenced ones start in recovery. What an operation holds stopped
// is that operation's. That it was found stopped is recorded first, so that the
// notice comes also when the program dies before it has told.
func (j *Jobs) keepRunning(ctx context.Context) error {
	servers, err := db.ServersToRun(ctx, j.Pool)
	if err != nil {
		return err
	}
	var failed error
	for _, s := range servers {
		server, err := j.engineServer(s.Server)
		if err != nil {
			return err
		}
		status, err := j.Engine.Status(ctx, server)
		if err != nil {
			continue
		}
		if status.Running {
			if s.FoundStoppedAt != nil {
				failed = errors.Join(failed, j.tellRestarted(ctx, s.ID))
			}
			continue
		}
		if err := db.SetServerFoundStopped(ctx, j.Pool, s.ID); err != nil {
			return err
		}
		if err := j.startServer(ctx, s.ID); err != nil {
			if !isStale(err) {
				// Its page shows why; the next look tries again.
				j.Log.Error("a server that should run does not start", "server", s.ID, "error", err)
			}
			continue
		}
		failed = errors.Join(failed, j.tellRestarted(ctx, s.ID))
	}
	return failed
}

// restartGrace is how long after its start the program finds servers that were
// stopped with it, or with the machine: that is no surprise.
const restartGrace = 10 * time.Second

// tellRestarted gives the notice of a server that was found stopped and runs
// again, to each database on it, and forgets that it was stopped.
func (j *Jobs) tellRestarted(ctx context.Context, serverID int64) error {
	return db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
		at, found, err := db.TakeServerFoundStopped(ctx, tx, serverID)
		if err != nil || !found {
			return err
		}
		databases, err := db.DatabasesOnServer(ctx, tx, serverID)
		if err != nil {
			return err
		}
		for _, d := range databases {
			n := db.NewNotice{Kind: platform.NoticeServerRestarted, DatabaseID: &d.ID, AppID: &d.AppID,
				Once:    fmt.Sprintf("server_restarted:%d:%d:%d", serverID, d.ID, at.UnixMilli()),
				Subject: "Restarted: " + d.Name,
				Body: fmt.Sprintf("The server of %s was found stopped at %s and was started again.\n\nWhy. Its processes were gone, and no operation had stopped them. The server's log says how they ended.\n\nWhat to do. Nothing, if the app connects anew by itself.",
					d.Name, platform.MomentUTC(at)),
				Figures: []platform.Figure{spanFigure("Found stopped, then running after", time.Since(at))},
			}
			if at.Before(j.startedAt.Add(restartGrace)) {
				n.Level = platform.NoticeInfo
				n.Body = fmt.Sprintf("%s did not run when Changeover started, at %s, and was started again.\n\nWhy. It was stopped with the machine, or by changeover stop-all.\n\nWhat to do. Nothing, if the app connects anew by itself.", d.Name, platform.MomentUTC(at))
			}
			if _, err := db.CreateNotice(ctx, tx, n); err != nil {
				return err
			}
		}
		return nil
	})
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
