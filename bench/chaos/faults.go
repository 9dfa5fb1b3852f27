package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"changeover/bench/cluster"
)

// harm is one fault while an operation runs: what is drawn of it, and what came
// of it.
type harm struct {
	fault
	after  time.Duration // the operation's start
	amount float64       // 0…1: how long, or which one
	told   string        // what was done; "" where nothing was
	breaks bool          // clients of the pool may have been broken by it
}

// fault is a kind of harm.
type fault struct {
	name string
	// do does it, and returns when it is over: what was frozen runs again, what the
	// trial ended as a machine's service manager would is started again.
	do func(*trial, context.Context, *harm, *course) error
}

// faults in the order in which they are drawn. Those of a PgBouncer and of the
// leader itself break connections through the pool; no other one may.
var faults = []fault{
	{"kill worker", func(t *trial, _ context.Context, h *harm, _ *course) error {
		pid, err := t.worker()
		return h.signal([]int{pid}, err, syscall.SIGKILL)
	}},
	{"kill program", (*trial).killProgram},
	{"stop program", (*trial).stopProgram},
	{"freeze worker", func(t *trial, ctx context.Context, h *harm, _ *course) error {
		pid, err := t.worker()
		return h.freeze(ctx, []int{pid}, err, h.between(time.Second, 30*time.Second))
	}},
	{"kill control database", func(t *trial, _ context.Context, h *harm, _ *course) error {
		pid, err := postmaster(t.controlData())
		return h.signal([]int{pid}, err, syscall.SIGKILL)
	}},
	{"restart control database", func(t *trial, _ context.Context, h *harm, _ *course) error {
		pid, err := postmaster(t.controlData())
		return h.signal([]int{pid}, err, syscall.SIGINT)
	}},
	{"kill pool", func(t *trial, _ context.Context, h *harm, _ *course) error {
		h.breaks = true
		return h.signal(t.poolProcesses(), nil, syscall.SIGKILL)
	}},
	{"freeze pool", func(t *trial, ctx context.Context, h *harm, _ *course) error {
		h.breaks = true // it is ended and started anew where it does not answer
		return h.freeze(ctx, t.poolProcesses(), nil, h.between(200*time.Millisecond, 8*time.Second))
	}},
	{"kill leader", func(t *trial, ctx context.Context, h *harm, _ *course) error {
		h.breaks = true
		data, err := t.leaderData(ctx)
		if err != nil {
			return err
		}
		pid, err := postmaster(data)
		return h.signal([]int{pid}, err, syscall.SIGKILL)
	}},
	{"kill a backend", func(t *trial, ctx context.Context, h *harm, _ *course) error {
		h.breaks = true
		data, err := t.leaderData(ctx)
		if err != nil {
			return err
		}
		return h.signal(h.one(backends(data)), nil, syscall.SIGKILL)
	}},
	{"kill follower", func(t *trial, ctx context.Context, h *harm, c *course) error {
		data, err := t.otherData(ctx, h)
		if err != nil {
			return err
		}
		pid, err := postmaster(data)
		err = h.signal([]int{pid}, err, syscall.SIGKILL)
		if now, lookErr := t.control.operation(ctx, c.id); lookErr != nil || now.PassedReturn {
			h.breaks = true // by now it may be the leader
		}
		return err
	}},
	{"freeze follower", func(t *trial, ctx context.Context, h *harm, _ *course) error {
		data, err := t.otherData(ctx, h)
		if err != nil {
			return err
		}
		return h.freeze(ctx, cluster.ProcessesIn(data), nil, h.between(time.Second, 8*time.Second))
	}},
	{"cancel", func(t *trial, ctx context.Context, h *harm, c *course) error {
		err := t.api.Call(ctx, http.MethodPost, fmt.Sprintf("/operations/%d/cancel", c.id), url.Values{}, nil)
		if err == nil {
			c.cancelled, h.told = true, "cancelled"
		}
		return err
	}},
}

var errNobody = errors.New("there is nobody to harm now")

func (h *harm) signal(pids []int, err error, signal syscall.Signal) error {
	if err != nil || len(pids) == 0 {
		return errors.Join(errNobody, err)
	}
	h.told = fmt.Sprintf("%s to %v", signal, pids)
	return signalAll(pids, signal)
}

// freeze stops processes for a while. Whoever finds one silent may end it meanwhile.
func (h *harm) freeze(ctx context.Context, pids []int, err error, d time.Duration) error {
	if err != nil || len(pids) == 0 {
		return errors.Join(errNobody, err)
	}
	h.told = fmt.Sprintf("%v frozen for %s", pids, d.Round(time.Millisecond))
	if err := signalAll(pids, syscall.SIGSTOP); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	return signalAll(pids, syscall.SIGCONT)
}

func (h *harm) between(least, most time.Duration) time.Duration {
	return least + time.Duration(h.amount*float64(most-least))
}

// one of them, the drawn one.
func (h *harm) one(pids []int) []int {
	if len(pids) == 0 {
		return nil
	}
	i := min(int(h.amount*float64(len(pids))), len(pids)-1)
	return pids[i : i+1]
}

// restart is what a service manager does after the drawn pause.
func (t *trial) restart(ctx context.Context, h *harm) error {
	select {
	case <-ctx.Done():
	case <-time.After(h.between(200*time.Millisecond, 3*time.Second)):
	}
	var err error
	for range 10 {
		if err = t.program.Start(ctx); err == nil {
			return nil
		}
		time.Sleep(time.Second) // as a service manager waits before it tries again
	}
	return fmt.Errorf("the program does not come back: %w", err)
}

func (t *trial) killProgram(ctx context.Context, h *harm, _ *course) error {
	t.starting.Lock()
	defer t.starting.Unlock()
	worker, err := t.worker()
	if err != nil {
		return errors.Join(errNobody, err)
	}
	parent, err := t.program.SupervisorPID()
	if err == nil {
		err = t.mustBeOurs(parent)
	}
	// The parent first: it must not start another worker in between.
	if err = h.signal([]int{parent, worker}, err, syscall.SIGKILL); err != nil {
		return err
	}
	<-t.program.Ended()
	return t.restart(ctx, h)
}

func (t *trial) stopProgram(ctx context.Context, h *harm, _ *course) error {
	t.starting.Lock()
	defer t.starting.Unlock()
	h.told = "SIGTERM"
	if err := t.program.Stop(ctx); err != nil {
		return err
	}
	return t.restart(ctx, h)
}

func (t *trial) poolProcesses() []int {
	return cluster.ProcessesIn(filepath.Join(t.program.Home, "pools"))
}

// known are the servers as the control database has them, or had them last.
func (t *trial) known(ctx context.Context) []server {
	list, err := t.control.servers(ctx)
	t.lastKnown.Lock()
	defer t.lastKnown.Unlock()
	if err == nil {
		t.lastKnown.list = list
	}
	return t.lastKnown.list
}

// leaderData is where the server is that the app's database has now.
func (t *trial) leaderData(ctx context.Context) (string, error) {
	for _, s := range t.known(ctx) {
		if s.Own && !s.Follows && (s.Database == t.fleet.leader || s.Database == t.fleet.follower) {
			return t.dataOf(s), nil
		}
	}
	return "", errNobody
}

// otherData is where one of the other servers is.
func (t *trial) otherData(ctx context.Context, h *harm) (string, error) {
	var others []string
	for _, s := range t.known(ctx) {
		if s.Database != t.fleet.fenced && (s.Follows || !s.Own) {
			others = append(others, t.dataOf(s))
		}
	}
	if len(others) == 0 {
		return "", errNobody
	}
	return others[min(int(h.amount*float64(len(others))), len(others)-1)], nil
}

// chosen are the faults whose names begin so.
func chosen(prefix string) (list []fault) {
	for _, f := range faults {
		if strings.HasPrefix(f.name, prefix) {
			list = append(list, f)
		}
	}
	return list
}

func names() (list []string) {
	for _, f := range faults {
		list = append(list, f.name)
	}
	return list
}
