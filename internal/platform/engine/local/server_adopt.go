package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"changeover/internal/platform/engine"
)

// adoptAtOnce is how many servers start at the same time after a reboot.
const adoptAtOnce = 4

// Adopt makes it true that servers run, at the program's start: what runs is
// left alone, what does not is started, in recovery where the mark or the file
// says so. Give it only servers that are meant to run. The errors are by server
// id; a server that an attempt holds right now is left to it.
func (e *Engine) Adopt(ctx context.Context, servers []engine.Server) map[int64]error {
	failed := map[int64]error{}
	var mu sync.Mutex
	var group sync.WaitGroup
	places := make(chan struct{}, adoptAtOnce)
	for _, s := range servers {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			if err := e.adopt(ctx, s); err != nil {
				mu.Lock()
				failed[s.ID] = err
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return failed
}

func (e *Engine) adopt(ctx context.Context, s engine.Server) error {
	c, err := e.cluster(s)
	if err != nil {
		return err
	}
	return e.exclusively(ctx, c, func() error {
		if e.postmaster(c) != 0 {
			return nil // it runs; whether it should write is its operation's matter
		}
		return e.startServer(ctx, s, c)
	})
}

// StopAll stops every server of this state directory and the control cluster
// last, whether or not the control database knows them.
func (e *Engine) StopAll(ctx context.Context) error {
	errs := []error{e.endGuardians(ctx)} // first: they start servers
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, c := range e.foundPools() {
		if err := e.stopPool(ctx, c, time.Second); err != nil {
			errs = append(errs, err)
		}
	}
	for _, c := range e.found() {
		group.Go(func() {
			err := errors.Join(e.endMakers(ctx, c), e.stop(ctx, c, stopPatience))
			if err != nil {
				mu.Lock()
				errs = append(errs, fmt.Errorf("%s: %w", c.name, err))
				mu.Unlock()
			}
		})
	}
	group.Wait()
	err := errors.Join(append(errs, e.stop(ctx, e.controlCluster(0), stopPatience))...)
	if err == nil && filepath.Dir(e.sockets) != e.config.Home {
		// Of what is outside of the home nothing is left; Open makes it again.
		_ = os.Remove(e.sockets)
	}
	return err
}

// found are the servers that have a directory here.
func (e *Engine) found() []cluster {
	var list []cluster
	seen := map[string]bool{}
	for _, zone := range append(zoneDirs(e.config.Zones), e.config.Home) {
		dirs, _ := filepath.Glob(filepath.Join(zone, "servers", "*")) // the only error is a malformed pattern
		for _, dir := range dirs {
			if info, err := os.Stat(dir); err != nil || !info.IsDir() || seen[dir] {
				continue
			}
			seen[dir] = true
			list = append(list, cluster{name: "server " + filepath.Base(dir), dir: dir, data: filepath.Join(dir, "data")})
		}
	}
	return list
}

// majorOf is the major that made the data directory, 0 where there is none.
func majorOf(data string) int {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return major
}

// KillAll ends every process of this state directory hard, the data being
// thrown away: for tests. SIGQUIT comes first, since a server that is killed
// outright leaves shared memory behind for a next start, and there is none.
func (e *Engine) KillAll(ctx context.Context) error {
	errs := []error{e.endGuardians(ctx)} // first: they start servers
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, c := range append(e.found(), e.controlCluster(0)) {
		group.Go(func() {
			err := errors.Join(e.endMakers(ctx, c), e.endAll(ctx, c, 2*time.Second))
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
		})
	}
	group.Wait()
	for _, c := range e.foundPools() {
		errs = append(errs, e.stopPool(ctx, c, 0))
	}
	return errors.Join(errs...)
}
