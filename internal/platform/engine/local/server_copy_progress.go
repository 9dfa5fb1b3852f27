package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"changeover/internal/platform/engine"
)

func (c cluster) copyExitCode() string {
	text, err := os.ReadFile(filepath.Join(c.dir, copyExit))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// CopyProgress is how far the copy into s has come. The first call that finds
// it ended well also finishes it: own settings, certificate, standby.signal and
// the leader to stream from. Done means that s can be started as it is.
func (e *Engine) CopyProgress(ctx context.Context, s engine.Server) (engine.Progress, error) {
	c, err := e.cluster(s)
	if err != nil {
		return engine.Progress{}, err
	}
	text, err := os.ReadFile(filepath.Join(c.dir, copyFile))
	if err != nil {
		return engine.Progress{}, c.mustBeComplete()
	}
	var begun copying
	if err := json.Unmarshal(text, &begun); err != nil {
		return engine.Progress{}, fmt.Errorf("copy into %s: %w", c.name, err)
	}
	if c.isComplete() {
		return engine.Progress{Done: true, CopiedBytes: begun.TotalBytes, TotalBytes: begun.TotalBytes}, nil
	}
	running, err := e.makers(c) // before the exit code is read: it writes that and ends
	if err != nil {
		return engine.Progress{}, err
	}
	copied, err := treeBytes(c.data, "pg_wal")
	if err != nil {
		return engine.Progress{}, err
	}
	progress := engine.Progress{CopiedBytes: min(copied, begun.TotalBytes), TotalBytes: begun.TotalBytes}
	code := c.copyExitCode()
	switch {
	case code == "0":
		progress.Done, progress.CopiedBytes = true, begun.TotalBytes
		return progress, e.exclusively(ctx, c, func() error { return e.finishCopy(c, begun) })
	case len(running) > 0:
		progress.Running = true
	default:
		log, _ := os.ReadFile(filepath.Join(c.dir, copyLog)) // a missing log says nothing either
		progress.Failure = lastLines(string(log), 5)
		if progress.Failure == "" {
			progress.Failure = "The copy was cut off before its end."
		}
	}
	return progress, nil
}

func (e *Engine) finishCopy(c cluster, begun copying) error {
	if c.isComplete() {
		return nil
	}
	if err := e.writeSettings(c); err != nil {
		return err
	}
	if err := e.writeFollow(c, begun.LeaderPort, begun.Slot); err != nil {
		return err
	}
	return e.complete(c)
}

// treeBytes is the size of all files below dir, but those in dir/without. Files
// that go away while it looks are not counted.
func treeBytes(dir, without string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && path == filepath.Join(dir, without):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	return total, err
}
