package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

// cluster is one data directory and how it is run: a managed server, or the
// program's own control cluster.
type cluster struct {
	name     string // for a person: "server 12"
	dir      string // holds data, server.log, epoch and our markers
	data     string
	port     int
	host     string // empty: unix socket only
	major    int
	settings []setting
	roles    []string // who the operating system's users may be over the socket
}

// Files beside the data directory.
const (
	completeFile  = "complete" // written last: without it the directory is half-made
	epochFile     = "epoch"
	logFile       = "server.log"
	requestedFile = "promotion-requested"
	startedFile   = "started.conf" // the settings the running postmaster began with
	// startedFollowFile is whom it was told to follow then.
	startedFollowFile = "started_follow.conf"
)

// cluster is where s lives and how it is run.
func (e *Engine) cluster(s engine.Server) (cluster, error) {
	zone, err := e.zoneDir(s.Zone)
	if err != nil {
		return cluster{}, err
	}
	id := strconv.FormatInt(s.ID, 10)
	dir := filepath.Join(zone, "servers", id)
	c := cluster{name: "server " + id, dir: dir, data: filepath.Join(dir, "data"), port: s.Port, host: e.config.DatabaseHost, major: s.Major}
	c.settings, c.roles = e.serverSettings(s, zone), []string{AdminRole, ReplicationRole}
	return c, nil
}

// ownCluster is cluster for what must not be done to a shared cluster on behalf
// of one of its databases.
func (e *Engine) ownCluster(s engine.Server) (cluster, error) {
	if s.Shared {
		return cluster{}, platform.Conflict("Server %d is a shared cluster with databases of several apps. It is not stopped, fenced, followed or promoted for one of them.", s.ID)
	}
	return e.cluster(s)
}

// zoneDir knows "a" even where the settings name other zones only, so that
// servers made before that are still found.
func (e *Engine) zoneDir(name string) (string, error) {
	for _, z := range e.config.Zones {
		if z.Name == name {
			return z.Dir, nil
		}
	}
	if name == "a" || name == "" {
		return e.config.Home, nil
	}
	return "", platform.Unavailable(nil, "The zone %s has no directory any more. Name it in CHANGEOVER_ZONES again.", name)
}

// isComplete is whether the directory was made to its end.
func (c cluster) isComplete() bool { return exists(filepath.Join(c.dir, completeFile)) }

// mustBeComplete is the error for acting on a server that is not there.
func (c cluster) mustBeComplete() error {
	if c.isComplete() {
		return nil
	}
	return platform.NotFound("The files of %s are not there, or were never finished.", c.name)
}

// makeDir makes the directory around the data. The database's user may enter
// it but not write: only we change the markers and the epoch.
func (e *Engine) makeDir(c cluster) error {
	if err := os.MkdirAll(c.dir, 0o711); err != nil {
		return err
	}
	for _, d := range []string{filepath.Dir(c.dir), c.dir} {
		if err := os.Chmod(d, 0o711); err != nil {
			return err
		}
	}
	return nil
}

// writeFile replaces path whole and durably: after a crash it has its old
// content or the new one. The database's user owns it.
func (e *Engine) writeFile(path string, content []byte, mode os.FileMode) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close(), e.owner.take(temp))
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// removeFile removes path durably; a missing one is fine.
func removeFile(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
