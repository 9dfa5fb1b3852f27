package local

import (
	"context"
	"os"
	"regexp"
	"strings"
	"syscall"

	"changeover/internal/platform/engine"
)

// foreign are settings that ALTER SYSTEM must not bring back: with one of them
// a fenced server could stream, restore or promote itself, or a copy would
// answer in its leader's place.
var foreign = regexp.MustCompile(`(?i)^\s*(primary_conninfo|primary_slot_name|restore_command|archive_cleanup_command|recovery_end_command|recovery_target\w*|promote_trigger_file|data_directory|config_file|hba_file|ident_file|port|listen_addresses|unix_socket_\w+|external_pid_file|shared_buffers|cluster_name)\b`)

// writeSettings makes our files and the certificate what they should be, and
// writes nothing where they already are. postgresql.conf includes ours.
func (e *Engine) writeSettings(c cluster) error {
	if err := e.writeIfDifferent(c.path(settingsFile), c.text()); err != nil {
		return err
	}
	// At every start, not only once: we may run as another user by now.
	if err := e.writeIfDifferent(c.path("pg_ident.conf"), e.fileIdent(c.roles)); err != nil {
		return err
	}
	if c.host != "" {
		if err := e.writeCertificate(c); err != nil {
			return err
		}
	}
	return e.removeForeign(c)
}

func (e *Engine) writeIfDifferent(path, text string) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return nil
	}
	return e.writeFile(path, []byte(text), 0o600)
}

// removeForeign takes the lines of foreign out of postgresql.auto.conf.
func (e *Engine) removeForeign(c cluster) error {
	path := c.path("postgresql.auto.conf")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept strings.Builder
	for _, line := range strings.SplitAfter(string(text), "\n") {
		if !foreign.MatchString(line) {
			kept.WriteString(line)
		}
	}
	if kept.Len() == len(text) {
		return nil
	}
	return e.writeFile(path, []byte(kept.String()), 0o600)
}

// Reconfigure writes the settings that follow from s.Plan and reloads them.
// restart is true while the server runs with others that it reads only at its
// start; a call after that restart says false.
func (e *Engine) Reconfigure(ctx context.Context, epoch int64, s engine.Server) (restart bool, err error) {
	c, err := e.cluster(s)
	if err != nil {
		return false, err
	}
	err = e.act(ctx, epoch, c, func() error {
		if err := c.mustBeComplete(); err != nil {
			return err
		}
		if err := e.writeSettings(c); err != nil {
			return err
		}
		pid := e.postmaster(c)
		if pid == 0 {
			return nil
		}
		started, err := os.ReadFile(c.started())
		restart = err != nil || string(started) != c.restartText()
		return e.signalPostmaster(c, pid, syscall.SIGHUP)
	})
	return restart, err
}
