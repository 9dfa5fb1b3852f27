package local

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

// Status looks at s from outside, without connecting. It costs microseconds.
func (e *Engine) Status(_ context.Context, s engine.Server) (engine.Status, error) {
	c, err := e.cluster(s)
	if err != nil {
		return engine.Status{}, err
	}
	if !c.isComplete() {
		return engine.Status{}, nil
	}
	status := engine.Status{Exists: true, StandbySignal: exists(c.path(standbyFile))}
	status.PID = e.postmaster(c)
	status.Running = status.PID != 0
	if status.Control, err = readControlFile(c.data); errors.Is(err, fs.ErrNotExist) {
		return engine.Status{}, nil // being removed
	}
	return status, err
}

// Processes are the live processes of s, from a look at all of the machine's.
func (e *Engine) Processes(s engine.Server) ([]int, error) {
	c, err := e.cluster(s)
	if err != nil {
		return nil, err
	}
	return e.processes(c)
}

// Disk is how many bytes are free and there in all where the zone's data lives.
func (e *Engine) Disk(zone string) (free, total int64, err error) {
	dir, err := e.zoneDir(zone)
	if err != nil {
		return 0, 0, err
	}
	return diskOf(dir)
}

// FreePort is a port that can be bound now and is not in taken. It begins
// anywhere in the range, so that two installations on one machine meet rarely.
func (e *Engine) FreePort(taken map[int]bool) (int, error) {
	count := e.config.PortTo - e.config.PortFrom + 1
	first := rand.IntN(max(count, 1))
	for i := range count {
		port := e.config.PortFrom + (first+i)%count
		if !taken[port] && canBind(e.config.DatabaseHost, port) == nil {
			return port, nil
		}
	}
	return 0, platform.Unavailable(nil, "No port between %d and %d on %s is free. Destroy a database, or widen CHANGEOVER_DATABASE_PORTS.", e.config.PortFrom, e.config.PortTo, e.config.DatabaseHost)
}
