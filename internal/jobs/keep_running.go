package jobs

import (
	"context"
	"slices"
	"time"

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
	var stopped, again, ran []int64
	for _, s := range servers {
		server, err := j.engineServer(s.Server)
		if err != nil {
			return err
		}
		_, starts := j.starting.Load(s.ID) // before the look: what starts has a postmaster long before it is ready
		status, err := j.Engine.Status(ctx, server)
		switch {
		case err != nil:
		case starts:
			stopped = append(stopped, s.ID)
		case !status.Running:
			if s.FoundStoppedAt == nil && j.fromBefore != nil && !slices.Contains(j.fromBefore, s.ID) {
				j.surprises.Store(s.ID, true)
			}
			if err := db.SetServerFoundStopped(ctx, j.Pool, s.ID); err != nil {
				return err
			}
			stopped = append(stopped, s.ID)
		case s.FoundStoppedAt != nil:
			again = append(again, s.ID)
		default:
			ran = append(ran, s.ID)
		}
	}
	if j.fromBefore == nil {
		j.fromBefore = make([]int64, 0, len(servers))
		for _, s := range servers {
			j.fromBefore = append(j.fromBefore, s.ID)
		}
	}
	j.fromBefore = slices.DeleteFunc(j.fromBefore, func(id int64) bool { return slices.Contains(ran, id) })
	run, still := j.startServers(ctx, stopped)
	return j.tellRestarted(ctx, append(again, run...), still)
}

const (
	// startsAtOnce is how many servers are started at the same time.
	startsAtOnce = 4
	// startPatience is how long a look waits for them.
	startPatience = 10 * time.Second
)

// startServers starts servers side by side, and returns those that run and those
// that do not yet. One that takes longer, to recover or because its disk is slow,
// goes on from the side: no other one waits for it, and a later look tells of it.
func (j *Jobs) startServers(ctx context.Context, ids []int64) (run, still []int64) {
	free, done, begun := make(chan struct{}, startsAtOnce), make(chan int64, len(ids)), 0
	for _, id := range ids {
		if _, starts := j.starting.LoadOrStore(id, true); starts {
			continue
		}
		begun++
		j.running.Go(func() {
			defer j.starting.Delete(id)
			free <- struct{}{}
			defer func() { <-free }()
			err := j.startServer(ctx, id)
			if err == nil {
				err = db.SetServerRunsAgain(ctx, j.Pool, id)
			}
			switch {
			case err == nil:
				done <- id
				return
			case !isStale(err) && ctx.Err() == nil:
				// Its page shows why; the next look tries again.
				j.Log.Error("a server that should run does not start", "server", id, "error", err)
			}
			done <- 0
		})
	}
	patience := time.NewTimer(startPatience)
	defer patience.Stop()
	for range begun {
		select {
		case id := <-done:
			if id != 0 {
				run = append(run, id)
			}
			continue
		case <-patience.C:
		}
		break
	}
	return run, slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return slices.Contains(run, id) })
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
