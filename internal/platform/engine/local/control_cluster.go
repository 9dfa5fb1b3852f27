package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"changeover/internal/platform"
)

const (
	controlPort     = 5432 // names the socket in our private directory only
	controlDatabase = "changeover"
	controlRole     = "changeover" // owns the database and everything in it
	// controlProgramRole is whom the running program signs in as. It owns nothing.
	controlProgramRole = "changeover_program"
	ballastSize        = 64 * megabyte
)

// Control makes, starts or finds the embedded control cluster and gives the
// connection string of its database (for pgxpool). It listens on the private
// socket only. It may be called at any time: a cluster that runs is left alone,
// one that crashed is started.
func (e *Engine) Control(ctx context.Context) (connString string, err error) {
	c := e.controlCluster(0)
	if err := e.makeDir(c); err != nil {
		return "", err
	}
	if err := e.exclusively(ctx, c, func() error { return e.startControl(ctx) }); err != nil {
		return "", err
	}
	return e.ControlString(), nil
}

// ControlString is the connection string that Control gives, whether or not
// the control cluster is there and runs.
func (e *Engine) ControlString() string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", quoteConninfo(e.sockets), controlPort, controlRole, controlDatabase)
}

// ControlProgramString is ControlString for the role of the running program,
// which owns nothing there. The role is there as soon as Control has returned.
func (e *Engine) ControlProgramString() string {
	return strings.Replace(e.ControlString(), " user="+controlRole+" ", " user="+controlProgramRole+" ", 1)
}

func (e *Engine) startControl(ctx context.Context) error {
	c := e.controlCluster(0)
	major := majorOf(c.data)
	if !c.isComplete() || major == 0 {
		major = e.installations[0].Major
	}
	c = e.controlCluster(major)
	if !c.isComplete() {
		hba := fmt.Sprintf("local all %s peer map=changeover\nlocal %s %s peer map=changeover\n", AdminRole, controlDatabase, controlRole)
		err := e.build(ctx, c, hba, func() error {
			return e.execAll(ctx, c, "postgres",
				"create role "+controlRole+" login",
				"revoke all on database postgres, template1 from public",
				"create database "+controlDatabase+" owner "+controlRole)
		})
		if err != nil {
			return err
		}
	}
	ballast := filepath.Join(c.dir, "ballast")
	prepare := func() error { return e.writeSettings(c) }
	err := e.start(ctx, 0, c, prepare)
	if free, _, diskErr := diskOf(c.dir); err != nil && diskErr == nil && free < ballastSize && exists(ballast) {
		e.log.Warn("the disk is full: the control cluster's ballast is given up", "file", ballast)
		if err := removeFile(ballast); err != nil {
			return err
		}
		err = e.start(ctx, 0, c, prepare)
	}
	if err != nil {
		return platform.Unavailable(err, "The control database did not start. The end of its log, %s, says why.", c.logPath())
	}
	if err := e.letProgramIn(ctx, c); err != nil {
		return err
	}
	return e.keepBallast(ballast, c)
}

// letProgramIn makes the role of the running program, which a cluster of before
// does not have. The files are read anew also where they were right: an earlier
// attempt may have died in between.
func (e *Engine) letProgramIn(ctx context.Context, c cluster) error {
	err := e.execAll(ctx, c, "postgres", fmt.Sprintf("do $$ begin if not exists (select from pg_roles where rolname = '%s') then create role %s login; end if; end $$",
		controlProgramRole, controlProgramRole))
	if err != nil {
		return err
	}
	path, line := c.path("pg_hba.conf"), fmt.Sprintf("local %s %s peer map=changeover\n", controlDatabase, controlProgramRole)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), line) {
		text = append(text, line...)
	}
	if err := errors.Join(e.writeIfDifferent(c.path("pg_ident.conf"), e.fileIdent(c.roles)), e.writeIfDifferent(path, string(text))); err != nil {
		return err
	}
	return e.reload(ctx, c)
}

// keepBallast keeps 64 MB of the disk for the control cluster: real blocks, so
// that nobody else can have them. It waits for better times on a full disk.
func (e *Engine) keepBallast(path string, c cluster) error {
	if info, err := os.Stat(path); err == nil && info.Size() == ballastSize {
		return nil
	}
	if free, _, err := diskOf(c.dir); err != nil || free < gigabyte {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, zeros{}, ballastSize)
	return errors.Join(err, f.Close())
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// controlCluster is the control cluster, of that major.
func (e *Engine) controlCluster(major int) cluster {
	dir := filepath.Join(e.config.Home, "control")
	c := cluster{name: "the control database", dir: dir, data: filepath.Join(dir, "data"), port: controlPort, major: major,
		roles: []string{AdminRole, controlRole, controlProgramRole}}
	c.settings = append(e.commonSettings(major),
		setting{"port", strconv.Itoa(controlPort), true},
		setting{"listen_addresses", "", true},
		setting{"cluster_name", "changeover-control", true},
		setting{"max_connections", "300", true},
		setting{"superuser_reserved_connections", "3", true},
		setting{"shared_buffers", "64MB", true},
		setting{"synchronous_commit", "on", false},
		setting{"wal_level", "replica", true},
	)
	return c
}
