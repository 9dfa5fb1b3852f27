package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

// Files of a copy beside the data directory.
const (
	copyFile = "copy.json" // what the copy is of, written before it begins
	copyExit = "copy.exit" // the exit code, written once all is on the disk
	copyLog  = "copy.log"  // what the program says
)

// copying is what a copy's end needs to know of its beginning.
type copying struct {
	LeaderPort int    `json:"leader_port"`
	Slot       string `json:"slot"`
	TotalBytes int64  `json:"total_bytes"`
}

// copyScript runs the base backup, then writes it to the disk, then the exit
// code to descriptor 3. It goes on when our program ends, and syncs in the
// background instead of file by file, which takes twice as long.
const copyScript = `dir=$1; shift
"$@"; code=$?
if [ $code = 0 ]; then %s; code=$?; fi
echo $code >&3`

// Copy starts, or finds running, a base backup of from into s, streaming
// through slot, which it makes on from if it is missing. It returns at once. A
// copy that failed, or was cut off, is begun again.
func (e *Engine) Copy(ctx context.Context, epoch int64, s, from engine.Server, slot string) error {
	c, err := e.ownCluster(s)
	if err != nil {
		return err
	}
	leader, err := e.ownCluster(from)
	if err != nil {
		return err
	}
	if err := e.makeDir(c); err != nil {
		return err
	}
	return e.act(ctx, epoch, c, func() error {
		if c.isComplete() || c.copyExitCode() == "0" {
			return nil
		}
		if running, err := e.makers(c); err != nil || len(running) > 0 {
			return err
		}
		if err := leader.mustBeComplete(); err != nil {
			return err
		}
		if err := e.makeSlot(ctx, leader, slot); err != nil {
			return err
		}
		if err := e.clear(ctx, c); err != nil {
			return err
		}
		return e.spawnCopy(ctx, c, leader, slot)
	})
}

// makeSlot looks first; one that lost its WAL is made again, and a connection
// that an earlier copy into s left on it is ended.
func (e *Engine) makeSlot(ctx context.Context, leader cluster, slot string) error {
	conn, err := pgx.ConnectConfig(ctx, e.adminConfig(leader.port, "postgres"))
	if err != nil {
		return fmt.Errorf("slot on %s: %w", leader.name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		var lost, active bool
		err := conn.QueryRow(ctx, `select coalesce(wal_status = 'lost', false), active and coalesce(pg_terminate_backend(active_pid), true)
			from pg_replication_slots where slot_name = $1`, slot).Scan(&lost, &active)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			_, err = conn.Exec(ctx, "select pg_create_physical_replication_slot($1, true)", slot)
			return err
		case err != nil:
			return fmt.Errorf("slot on %s: %w", leader.name, err)
		case active:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(5 * time.Millisecond):
			}
		case lost:
			if _, err := conn.Exec(ctx, "select pg_drop_replication_slot($1)", slot); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

func (e *Engine) spawnCopy(ctx context.Context, c, leader cluster, slot string) error {
	path, err := e.program(c.major, "pg_basebackup")
	if err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(c.dir, copyExit)); err != nil {
		return err
	}
	total, err := treeBytes(leader.data, "pg_wal")
	if err != nil {
		return err
	}
	text, err := json.Marshal(copying{LeaderPort: leader.port, Slot: slot, TotalBytes: total})
	if err != nil {
		return err
	}
	if err := e.writeFile(filepath.Join(c.dir, copyFile), text, 0o644); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(c.dir, copyLog), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	exit, err := os.OpenFile(filepath.Join(c.dir, copyExit), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer exit.Close()
	sync := `sync -f "$dir" || sync`
	if runtime.GOOS != "linux" {
		sync = "sync"
	}
	cmd := e.command(context.WithoutCancel(ctx), "/bin/sh", "-c", fmt.Sprintf(copyScript, sync), "sh", c.data, path,
		"-D", c.data, "-h", e.sockets, "-p", strconv.Itoa(leader.port), "-U", ReplicationRole, "--no-password",
		"-X", "stream", "--slot", slot, "--checkpoint=fast", "--no-sync", "--no-manifest")
	cmd.Dir = c.dir // by this we find it again
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{exit}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("copy into %s: %w", c.name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // reaped; the exit code is in the file
		close(ended)
	}()
	return e.awaitSeen(ctx, c, ended)
}

// awaitSeen waits until a look at the machine's processes finds the copy. Start
// returns in the middle of exec, when the kernel shows neither its new command
// line nor its user: on a busy machine a look then finds nothing, and a copy
// that has hardly begun would pass for one that was cut off.
func (e *Engine) awaitSeen(ctx context.Context, c cluster, ended <-chan struct{}) error {
	for {
		running, err := e.makers(c)
		if err != nil || len(running) > 0 {
			return err
		}
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// makers are the processes that fill c.data from beside it: a copy's shell and
// pg_basebackup, or initdb. Known by what they run and where, not by a number
// in a file, which another process can have by now.
func (e *Engine) makers(c cluster) ([]int, error) {
	pids, err := processesIn(c.dir, e.owner.uidOf())
	if err != nil {
		return nil, err
	}
	running := pids[:0]
	for _, pid := range pids {
		if line := commandLine(pid); strings.Contains(line, "pg_basebackup") || strings.Contains(line, "initdb") {
			running = append(running, pid)
		}
	}
	return running, nil
}

// endMakers ends a copy into c, or an initdb that outlived its program.
func (e *Engine) endMakers(ctx context.Context, c cluster) error {
	pids, err := e.makers(c)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		p, err := openProcess(pid, c.dir)
		if err != nil {
			return err
		}
		if p != nil {
			err = p.signal(syscall.SIGTERM)
			p.close()
		}
		if err != nil {
			return err
		}
	}
	return e.endProcesses(ctx, c.name, time.Second, func() ([]int, error) { return e.makers(c) }, c.dir)
}

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
