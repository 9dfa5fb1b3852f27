package local

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

const (
	// otherSenders finds the walsenders that a stop must not wait for.
	otherSenders = `select pid from pg_stat_replication where pid not in
		(select active_pid from pg_replication_slots where slot_name = $1 and active_pid is not null)`
	// otherSendersPatience is what asking for them may cost the outage at worst.
	otherSendersPatience = 250 * time.Millisecond
	// preparedLife is how long a prepared connection waits for its stop.
	preparedLife = 5 * time.Minute
)

// PrepareStop opens the connection that StopForSwitch asks its one question on,
// so that the outage does not pay for it. It changes nothing, and a switch
// without it only takes a few milliseconds longer.
func (e *Engine) PrepareStop(ctx context.Context, s engine.Server) error {
	conn, err := pgx.ConnectConfig(ctx, e.Admin(s, "postgres"))
	if err != nil {
		return err
	}
	if _, err := conn.Prepare(ctx, "other_senders", otherSenders); err != nil {
		return err
	}
	var pid *int // run once, so that the catalogs it reads are in its cache
	if err := conn.QueryRow(ctx, "other_senders", "").Scan(&pid); err != nil && err != pgx.ErrNoRows {
		return err
	}
	e.mu.Lock()
	old := e.prepared[s.ID]
	e.prepared[s.ID] = conn
	e.mu.Unlock()
	if old != nil {
		_ = old.Close(context.WithoutCancel(ctx))
	}
	time.AfterFunc(preparedLife, func() {
		if e.takePrepared(s.ID, conn) != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = conn.Close(ctx)
		}
	})
	return nil
}

// takePrepared takes the server's prepared connection out, if it is only (nil: whichever).
func (e *Engine) takePrepared(id int64, only *pgx.Conn) *pgx.Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	conn := e.prepared[id]
	if conn == nil || only != nil && conn != only {
		return nil
	}
	delete(e.prepared, id)
	return conn
}

// StopForSwitch sends the fast stop and returns as soon as the control file
// says "shut down", while the last processes may still be sending WAL to the
// follower that streams through keepSlot. Every other walsender is ended at
// once: a frozen one would keep the shutdown checkpoint from being written.
// control is our own quick reading; proof waits for pg_controldata's, which is
// under way. For a server that is shut down already it only reads.
func (e *Engine) StopForSwitch(ctx context.Context, epoch int64, s engine.Server, keepSlot string) (control engine.ControlData, proof engine.Proof, err error) {
	c, err := e.ownCluster(s)
	if err != nil {
		return engine.ControlData{}, nil, err
	}
	err = e.act(ctx, epoch, c, func() error {
		if err := c.mustBeComplete(); err != nil {
			return err
		}
		control, err = e.stopForSwitch(ctx, s, c, keepSlot)
		return err
	})
	if err != nil {
		return engine.ControlData{}, nil, err
	}
	return control, e.prove(ctx, c), nil
}

// prove runs pg_controldata beside the caller.
func (e *Engine) prove(ctx context.Context, c cluster) engine.Proof {
	var control engine.ControlData
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		control, err = e.controlData(context.WithoutCancel(ctx), c)
		if err == nil && control.State != engine.ShutDown {
			err = platform.Conflict("%s is not shut down: pg_controldata says %s.", c.title(), control.State)
		}
	}()
	return func(ctx context.Context) (engine.ControlData, error) {
		select {
		case <-done:
			return control, err
		case <-ctx.Done():
			return engine.ControlData{}, ctx.Err()
		}
	}
}

func (e *Engine) stopForSwitch(ctx context.Context, s engine.Server, c cluster, keepSlot string) (engine.ControlData, error) {
	conn := e.takePrepared(s.ID, nil)
	if conn != nil {
		defer func() { go closeQuickly(conn) }()
	}
	pid := e.postmaster(c)
	if pid == 0 {
		return c.shutDown()
	}
	main, err := openProcess(pid, c.data)
	if err != nil {
		return engine.ControlData{}, err
	}
	if main == nil {
		return c.shutDown()
	}
	defer main.close()
	senders := e.openOtherSenders(ctx, s, c, conn, keepSlot)
	defer func() {
		for _, p := range senders {
			p.close()
		}
	}()
	// A server that was only just starting says "shut down" too, until it does not.
	before, err := readControlFile(c.data)
	if err != nil {
		return engine.ControlData{}, err
	}
	if before.State == engine.InArchiveRecovery {
		return engine.ControlData{}, platform.Conflict("%s is in recovery: it has no writers to stop.", c.title())
	}
	terminate(senders)
	if err := main.signal(syscall.SIGINT); err != nil {
		return engine.ControlData{}, err
	}
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		ended := main.gone(0) // before the reading: the last word is written before the end
		control, err := readControlFile(c.data)
		if err != nil {
			return engine.ControlData{}, err
		}
		if control.State == engine.ShutDown && before.State == engine.InProduction {
			return control, nil
		}
		if ended {
			return c.shutDown()
		}
		// A walsender whose follower takes nothing needs a second signal: it
		// blocks once more, on its own farewell, and the signal ends that.
		terminate(senders)
		select {
		case <-ctx.Done():
			return engine.ControlData{}, fmt.Errorf("%s is %s after the fast stop: %w", c.name, control.State, ctx.Err())
		case <-ticker.C:
		}
	}
}

// shutDown is the control file of a server that does not run, if it was shut down.
func (c cluster) shutDown() (engine.ControlData, error) {
	control, err := readControlFile(c.data)
	if err == nil && control.State != engine.ShutDown {
		return engine.ControlData{}, platform.Conflict("%s does not run and was not shut down: its files say %s. Start it, then try again.", c.title(), control.State)
	}
	return control, err
}

// openOtherSenders asks which walsenders to end. Without an answer the stop
// goes on: it is only slower then, if one of them is frozen.
func (e *Engine) openOtherSenders(ctx context.Context, s engine.Server, c cluster, conn *pgx.Conn, keepSlot string) []*process {
	ctx, cancel := context.WithTimeout(ctx, otherSendersPatience)
	defer cancel()
	query := "other_senders"
	if conn == nil || conn.IsClosed() {
		fresh, err := pgx.ConnectConfig(ctx, e.Admin(s, "postgres"))
		if err != nil {
			e.log.Warn("walsenders cannot be asked for before the stop", "cluster", c.name, "err", err)
			return nil
		}
		defer func() { go closeQuickly(fresh) }()
		conn, query = fresh, otherSenders
	}
	rows, err := conn.Query(ctx, query, keepSlot)
	if err == nil {
		var pids []int
		if pids, err = pgx.CollectRows(rows, pgx.RowTo[int]); err == nil {
			return openAll(pids, c.data)
		}
	}
	e.log.Warn("walsenders cannot be asked for before the stop", "cluster", c.name, "err", err)
	return nil
}

func openAll(pids []int, dir string) []*process {
	var list []*process
	for _, pid := range pids {
		if p, err := openProcess(pid, dir); err == nil && p != nil {
			list = append(list, p)
		}
	}
	return list
}

func terminate(list []*process) {
	for _, p := range list {
		_ = p.signal(syscall.SIGTERM) // one that is gone already is what we want
	}
}

func closeQuickly(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}
