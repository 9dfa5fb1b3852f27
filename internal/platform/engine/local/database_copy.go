package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

// Files of a copy below the new database's directory.
const (
	copyPassword = "copy.password" // of the copying role, in pg_dump's own format
	copySchema   = "copy.schema"   // all but the rows
	copyContents = "copy.contents" // which of that is made in the new database
)

// EmptyDatabase makes a database of the running shared cluster s anew, empty,
// and its role where that is missing. Only CopyDatabase gets in. Whoever is in an
// earlier one of the name, such as a copy that was left behind, is ended.
func (e *Engine) EmptyDatabase(ctx context.Context, epoch int64, s engine.Server, d engine.SharedDatabase) error {
	c, err := e.cluster(s)
	if err != nil {
		return err
	}
	return e.ActOnDatabase(ctx, epoch, s, d.DatabaseName, func() error {
		if err := e.keepOut(ctx, c, d.DatabaseName); err != nil {
			return err
		}
		if err := e.execAll(ctx, c, "postgres", "drop database if exists "+pgx.Identifier{d.DatabaseName}.Sanitize()+" with (force)"); err != nil {
			return err
		}
		return e.makeDatabase(ctx, c, d)
	})
}

// CopyDatabase copies what the snapshot shows of a database: first tables and
// functions, then rows, then indexes and constraints. It returns when all of it
// is there, and stops when a newer attempt has acted on the new database.
func (e *Engine) CopyDatabase(ctx context.Context, epoch int64, copying engine.DatabaseCopy) error {
	c, err := e.cluster(copying.To)
	if err != nil {
		return err
	}
	from, err := e.cluster(copying.From)
	if err != nil {
		return err
	}
	d := &databaseCopy{Engine: e, epoch: epoch, c: copying, from: from, to: c, dir: c.member(copying.Database).dir}
	defer d.forget()
	if err := d.letCopyIn(ctx); err != nil {
		return fmt.Errorf("copy a database: %w", err)
	}
	for _, part := range []func(context.Context) error{d.dumpSchema, d.chooseContents, d.makeSchema, d.copyRows, d.finishSchema, d.forceRowSecurity} {
		// The lock is not held while it copies: a newer attempt ends what a frozen
		// one has left by making the database anew.
		if err := e.ActOnDatabase(ctx, epoch, copying.To, copying.Database, func() error { return nil }); err != nil {
			return err
		}
		if err := part(ctx); err != nil {
			return fmt.Errorf("copy a database: %w", err)
		}
	}
	return d.keepCopyOut(ctx)
}

// databaseCopy is one copy under way.
type databaseCopy struct {
	*Engine
	epoch    int64
	c        engine.DatabaseCopy
	from, to cluster
	dir      string
}

// forget removes the files; what they hold is of no use after the copy.
func (d *databaseCopy) forget() {
	for _, name := range []string{copyPassword, copySchema, copyContents} {
		_ = os.Remove(filepath.Join(d.dir, name))
	}
}

// dump is pg_dump of the snapshot. It runs as the administrator, whom row
// security does not hold back; reading runs nothing that the app has written.
func (d *databaseCopy) dump(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path, err := d.program(d.from.major, "pg_dump")
	if err != nil {
		return nil, err
	}
	cmd := d.command(ctx, path, append([]string{"--format=custom", "--compress=0", "--no-password", "--snapshot=" + d.c.Snapshot,
		"--host=" + d.sockets, "--port=" + strconv.Itoa(d.from.port), "--username=" + AdminRole, "--dbname=" + d.c.FromDatabase}, args...)...)
	cmd.WaitDelay = 5 * time.Second
	return cmd, nil
}

// restore is pg_restore into the new database as the copying role, so that what
// it makes belongs to the app.
func (d *databaseCopy) restore(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path, err := d.program(d.to.major, "pg_restore")
	if err != nil {
		return nil, err
	}
	to := append([]string{"--exit-on-error", "--no-password", "--role=" + d.c.RoleName,
		"--host=" + d.Host(), "--port=" + strconv.Itoa(d.to.port), "--username=" + copyRole(d.c.Database), "--dbname=" + d.c.Database}, args...)
	cmd := d.command(ctx, path, to...)
	cmd.Env = append(cmd.Env, "PGSSLMODE=require", "PGPASSFILE="+filepath.Join(d.dir, copyPassword))
	cmd.WaitDelay = 5 * time.Second
	return cmd, nil
}

// said is a program's failure with the end of what it said.
func said(what string, err error, stderr *bytes.Buffer) error {
	if err == nil {
		return nil
	}
	text := strings.TrimSpace(stderr.String())
	if text == "" {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %s", what, err, text[max(0, len(text)-1000):])
}

func runSaid(what string, cmd *exec.Cmd) error {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	return said(what, cmd.Run(), &stderr)
}

// copyRows sends the rows from one program to the other; nothing of them is
// written to a file.
func (d *databaseCopy) copyRows(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dump, err := d.dump(ctx, "--section=data")
	if err != nil {
		return err
	}
	restore, err := d.restore(ctx)
	if err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	var dumpSays, restoreSays bytes.Buffer
	dump.Stdout, dump.Stderr, restore.Stdin, restore.Stderr = write, &dumpSays, read, &restoreSays
	err = restore.Start()
	if err == nil {
		if err = dump.Start(); err != nil {
			cancel()
			_ = restore.Wait()
		}
	}
	// Each program holds its own end: when one ends, the other one sees it.
	_, _ = read.Close(), write.Close()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- said("pg_dump", dump.Wait(), &dumpSays) }()
	restored := said("pg_restore of the rows", restore.Wait(), &restoreSays)
	if restored != nil {
		cancel()
	}
	dumped := <-ended
	if restored != nil {
		return restored // the dump's own failure then is only that nobody reads
	}
	return errors.Join(dumped)
}
