package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// Guardian is a process of its own that watches this program while clients of
// connection pools are held, and lets them go on when the program is gone.
type Guardian interface {
	// Ready returns when it watches, or ctx has ended.
	Ready(ctx context.Context)
	// Dismiss ends it: nobody is held any more.
	Dismiss()
	// Abandon leaves it to itself, as the end of this program would.
	Abandon()
}

// Holding is what a guardian has to know. It acts as an attempt of its own, with
// an epoch that was taken after that of the attempt which it guards and before
// any later one: when it acts, that attempt is over, and as soon as a later one
// begins, the guardian is.
type Holding struct {
	Epoch    int64
	Old, New engine.Server
	Pools    []engine.Pool
}

// guardianPatience is how long a switch waits for its guardian.
const guardianPatience = time.Second

// guardianRetry is the pause between a guardian's tries.
const guardianRetry = 250 * time.Millisecond

// LetGo lets the clients go on, with whichever server can be proven to be the
// one that takes writes, and tries until ctx ends. engine.ErrStaleEpoch means
// that a newer attempt has begun and nothing is left to do.
func (h Holding) LetGo(ctx context.Context, e Engine, log *slog.Logger) error {
	for {
		to, err := h.letGo(ctx, e)
		if err == nil {
			log.Info("the clients of connection pools go on", "pools", len(h.Pools), "server", to)
			return nil
		}
		if isStale(err) {
			return err
		}
		log.Warn("the clients of connection pools cannot go on yet", "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(guardianRetry):
		}
	}
}

// letGo goes by the one thing that is irreversible, the candidate's promotion,
// and by the servers' own files: the control database is not asked, it may be
// gone as well. Until a promotion was asked for the old leader may be opened,
// even after the point of no return: who goes on from there proves the fence
// anew (unfollow), after having taken everything over from this epoch.
func (h Holding) letGo(ctx context.Context, e Engine) (serverID int64, err error) {
	// First of all: from here on the attempt that is guarded is refused everywhere,
	// also if it was only frozen.
	if err := e.TakeOver(ctx, h.Epoch, []engine.Server{h.Old, h.New}, h.Pools); err != nil {
		return 0, err
	}
	inRecovery, err := e.WithdrawPromotion(ctx, h.Epoch, h.New)
	if err != nil {
		return 0, err
	}
	to := h.New
	if inRecovery {
		to = h.Old
		err = openAgain(ctx, e, h.Epoch, h.Old)
	} else {
		err = h.mustBeFenced(ctx, e)
	}
	if err != nil {
		return 0, err
	}
	if err := takesWrites(ctx, e, to); err != nil {
		return 0, err
	}
	return to.ID, h.lead(ctx, e, to)
}

// mustBeFenced is an error unless nothing of the old leader lives and its next
// start is one in recovery.
func (h Holding) mustBeFenced(ctx context.Context, e Engine) error {
	if err := e.EndAll(ctx, h.Epoch, h.Old); err != nil {
		return err
	}
	status, err := e.Status(ctx, h.Old)
	if err != nil {
		return err
	}
	if status.Running || !status.StandbySignal || status.Control.State != engine.ShutDown {
		return fmt.Errorf("server %d is promoted, but server %d is not fenced: nothing is done until a person has looked at both", h.New.ID, h.Old.ID)
	}
	return nil
}

func (h Holding) lead(ctx context.Context, e Engine, to engine.Server) error {
	errs := make([]error, len(h.Pools))
	var all sync.WaitGroup
	for i, p := range h.Pools {
		all.Go(func() {
			p.ServerPort = to.Port
			if errs[i] = e.RoutePool(ctx, h.Epoch, p); errs[i] == nil || isStale(errs[i]) {
				return
			}
			// Its PgBouncer is gone: another one goes by the files that are there.
			errs[i] = e.RestartPool(ctx, h.Epoch, p)
			if errs[i] == nil {
				errs[i] = e.RoutePool(ctx, h.Epoch, p)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// openAgain takes the fence away from a server, which takes writes afterwards.
// Whoever calls it has proven that no other one does (safety 2).
func openAgain(ctx context.Context, e Engine, epoch int64, s engine.Server) error {
	status, err := e.Status(ctx, s)
	if err != nil {
		return err
	}
	if status.Running && status.StandbySignal && status.Control.State != engine.InProduction {
		// One of its processes crashed after the mark was set, so it restarted
		// itself into recovery, and only another start takes it out of there.
		if err := e.Stop(ctx, epoch, s); err != nil {
			return err
		}
	}
	if err := e.Unfence(ctx, epoch, s); err != nil {
		return err
	}
	s.Fenced = false
	return e.Start(ctx, epoch, s)
}

func takesWrites(ctx context.Context, e Engine, s engine.Server) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, e.Admin(s, "postgres"))
	if err != nil {
		return err
	}
	defer closeSoon(conn)
	return postgres.WriteOnce(ctx, conn)
}

// arm starts the guardian of this attempt, where pools go with the switch.
// Without one the switch goes on: it only matters when this program dies.
func (c *switcher) arm(ctx context.Context) {
	pools, err := c.pools(ctx)
	if c.guardian != nil || c.j.Guard == nil || err == nil && len(pools) == 0 {
		return
	}
	h := Holding{Old: c.old.Server, New: c.it.Server, Pools: make([]engine.Pool, len(pools))}
	h.Old.Fenced, h.New.Fenced = false, false
	for i, p := range pools {
		p.Verifier = "" // a guardian starts no pool anew, so it need not know
		h.Pools[i] = p
	}
	if err == nil {
		h.Epoch, err = db.NextEpoch(ctx, c.j.Pool)
	}
	if err == nil {
		c.guardian, err = c.j.Guard(h)
	}
	if err != nil {
		c.guardian = nil
		c.Log.Warn("no guardian watches over the connection pools in this switch", "error", err)
	}
}

// goOn is for an attempt that begins where pools are held, or a switch is half
// done: nothing that an older attempt, or a guardian, still has in mind happens
// from here on, so that what is looked at now stays true.
func (c *switcher) goOn(ctx context.Context) error {
	if c.StartedAt("pause_pools") == nil || c.FinishedAt("prove") != nil {
		return nil
	}
	pools, err := c.readPools(ctx)
	if err != nil {
		return err
	}
	if err := c.j.Engine.TakeOver(ctx, c.Epoch, []engine.Server{c.old.Server, c.it.Server}, pools); err != nil {
		return err
	}
	if c.FinishedAt("resume_pools") == nil {
		c.held = true // as far as is known
		c.arm(ctx)
	}
	return nil
}

// holdAgain holds the pools once more where an attempt finds the old leader
// open: a guardian may have let their clients go on.
func (c *switcher) holdAgain(ctx context.Context) error {
	if !c.heldSince.IsZero() {
		return nil
	}
	status, err := c.j.Engine.Status(ctx, c.old.Server)
	if err != nil || !status.Running {
		return err
	}
	return c.pausePools(ctx)
}

// dismiss ends the guardian, if there is one.
func (c *switcher) dismiss() {
	c.held = false
	if c.guardian != nil {
		c.guardian.Dismiss()
		c.guardian = nil
	}
}
