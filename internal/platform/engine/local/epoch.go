package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"

	"golang.org/x/sys/unix"
)

// act runs effect while it holds the server's epoch file, if no newer attempt
// has acted on the server before. The lock is held until effect ends: a runner
// that was frozen anywhere finds out before it acts, never after. What is
// written needs no sync, since no runner outlives the machine.
func (e *Engine) act(ctx context.Context, epoch int64, c cluster, effect func() error) error {
	file, err := lockEpoch(ctx, c)
	if err != nil {
		return err
	}
	defer file.Close() // gives the lock back
	current, err := readEpoch(file)
	if err != nil {
		return fmt.Errorf("epoch of %s: %w", c.name, err)
	}
	if epoch < current {
		return engine.ErrStaleEpoch
	}
	if epoch > current {
		if _, err := file.WriteAt(fmt.Appendf(nil, "%020d\n", epoch), 0); err != nil {
			return fmt.Errorf("epoch of %s: %w", c.name, err)
		}
	}
	return effect()
}

// TakeOver makes epoch the newest of servers and pools, and does nothing else: no
// older attempt acts on them from then on, and what is looked at afterwards stays
// true. One that is not there is left out.
func (e *Engine) TakeOver(ctx context.Context, epoch int64, servers []engine.Server, pools []engine.Pool) error {
	clusters := make([]cluster, 0, len(servers)+len(pools))
	for _, s := range servers {
		c, err := e.ownCluster(s)
		if err != nil {
			return err
		}
		clusters = append(clusters, c)
	}
	for _, p := range pools {
		clusters = append(clusters, e.poolCluster(p.ID))
	}
	for _, c := range clusters {
		err := e.act(ctx, epoch, c, func() error { return nil })
		if err != nil && platform.KindOf(err) != platform.KindNotFound {
			return err
		}
	}
	return nil
}

// exclusively runs effect under the same lock for the engine's own upkeep,
// which belongs to no attempt.
func (e *Engine) exclusively(ctx context.Context, c cluster, effect func() error) error {
	file, err := lockEpoch(ctx, c)
	if err != nil {
		return err
	}
	defer file.Close()
	return effect()
}

func lockEpoch(ctx context.Context, c cluster) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(c.dir, epochFile), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		return nil, c.mustBeComplete()
	}
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = file.Close()
			return nil, fmt.Errorf("lock of %s: %w", c.name, err)
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

func readEpoch(file *os.File) (int64, error) {
	text := make([]byte, 32)
	n, _ := file.ReadAt(text, 0) // a short file is a new one
	digits := strings.TrimSpace(string(text[:n]))
	if digits == "" {
		return 0, nil
	}
	return strconv.ParseInt(digits, 10, 64)
}
