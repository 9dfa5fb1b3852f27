package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
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
