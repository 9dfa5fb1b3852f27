package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"changeover/internal/platform/engine"
	"changeover/internal/platform/guardian"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// Guardian is a process of its own that watches this program while clients of
// connection pools are held, and lets them go on when the program is gone.
type Guardian interface {
	// Ready is nil as soon as it watches: at once where it does already.
	// guardian.ErrEnded where it has ended, another error when ctx has.
	Ready(ctx context.Context) error
	// Dismiss ends it: nobody is held any more.
	Dismiss()
	// Abandon leaves it to itself, as the end of this program would.
	Abandon()
}

// Holding is what a guardian has to know. It acts as an attempt of its own, with
// an epoch of its own that lies between that of the attempt which it guards and
// any later one (db.GuardianEpoch): when it acts, that attempt is over, and as soon as a later one
// begins, the guardian is.
type Holding struct {
	Epoch    int64
	Old, New engine.Server
	Pools    []engine.Pool
}

// check is an error for what nobody can act by.
func (h Holding) check() error {
	if h.Epoch <= 0 || h.Old.ID <= 0 || h.New.ID <= 0 || h.Old.ID == h.New.ID || len(h.Pools) == 0 {
		return fmt.Errorf("the brief names no epoch, no two servers or no pools: epoch %d, servers %d and %d, %d pools", h.Epoch, h.Old.ID, h.New.ID, len(h.Pools))
	}
	return nil
}

// StartGuardian starts a program as the guardian of h, in dir. It has to call
// BeGuardian.
func StartGuardian(program string, env []string, dir string, h Holding) (Guardian, error) {
	brief, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	g, err := guardian.Start(program, env, dir, brief)
	if err != nil {
		return nil, err // not a nil *Guardian in an interface
	}
	return g, nil
}

// BeGuardian is what a guardian does: it reads its brief, opens the engine, and
// waits to be dismissed. Left alone, it lets the clients go on.
func BeGuardian(ctx context.Context, in io.Reader, open func() (Engine, error), log *slog.Logger) error {
	w, err := guardian.Begin(in)
	if err != nil {
		return err
	}
	var h Holding
	brief := json.NewDecoder(bytes.NewReader(w.Brief))
	brief.DisallowUnknownFields()
	if err := brief.Decode(&h); err != nil {
		return fmt.Errorf("the brief is not understood: %w", err)
	}
	if err := h.check(); err != nil {
		return err
	}
	e, err := open()
	if err != nil {
		return err
	}
	w.Ready()
	if !w.Abandoned(ctx) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, guardianTries)
	defer cancel()
	// A program that is frozen in the middle of an act holds what it acts on, and
	// nobody could act there before it wakes. One that has woken ends its act, and
	// is refused the next one.
	first, stop := context.WithTimeout(ctx, guardianGrace)
	err = e.TakeOver(first, h.Epoch, []engine.Server{h.Old, h.New}, h.Pools)
	stop()
	if errors.Is(err, context.DeadlineExceeded) && w.EndFrozen(ctx) {
		log.Warn("the program is frozen in the middle of an act, and was ended")
	}
	err = h.LetGo(ctx, e, log)
	if isStale(err) {
		log.Info("somebody else goes on with the switch; nothing is left to do")
		return nil
	}
	return err
}

// guardianTries is how long a guardian tries: longer than a client of a pool waits.
const guardianTries = 150 * time.Second

// guardianGrace is how long a guardian lets a program that says nothing hold on to
// a server or a pool.
const guardianGrace = 500 * time.Millisecond

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
	for _, s := range []engine.Server{h.Old, h.New} {
		status, err := e.Status(ctx, s)
		if err == nil && !status.Exists {
			err = fmt.Errorf("server %d has no files where they were looked for", s.ID)
		}
		if err != nil {
			return 0, err
		}
	}
	inRecovery, err := e.WithdrawPromotion(ctx, h.Epoch, h.New)
	if err != nil {
		return 0, err
	}
	to := h.New
	if inRecovery {
		to = h.Old
		err = openAgain(ctx, e, h.Epoch, h.Old)
	} else if err = h.mustBeFenced(ctx, e); err == nil {
		err = e.Start(ctx, h.Epoch, h.New) // it may have died since; nothing where it runs
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
