package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

// Follow writes standby.signal and primary_conninfo: s, stopped or running,
// streams from leader through slot after its next start. A running one that
// does not do so yet is restarted.
func (e *Engine) Follow(ctx context.Context, epoch int64, s, leader engine.Server, slot string) error {
	c, err := e.ownCluster(s)
	if err != nil {
		return err
	}
	return e.act(ctx, epoch, c, func() error {
		if err := c.mustBeComplete(); err != nil {
			return err
		}
		if s.Fenced {
			return platform.Conflict("%s is fenced and streams from nobody. Unfence it first.", c.title())
		}
		follows := exists(c.path(standbyFile)) && c.startedFollow() == e.followText(leader.Port, slot)
		if err := e.writeFollow(c, leader.Port, slot); err != nil {
			return err
		}
		if e.postmaster(c) == 0 || follows {
			return nil
		}
		if err := e.stop(ctx, c, stopPatience); err != nil {
			return err
		}
		return e.startServer(ctx, s, c)
	})
}

// writeFollow makes c a follower at its next start. The leader is written
// before the signal file, so that a crash leaves no standby without one.
func (e *Engine) writeFollow(c cluster, leaderPort int, slot string) error {
	if err := e.removeForeign(c); err != nil {
		return err
	}
	if err := e.writeIfDifferent(c.path(followFile), e.followText(leaderPort, slot)); err != nil {
		return err
	}
	if exists(c.path(standbyFile)) {
		return nil
	}
	return e.writeFile(c.path(standbyFile), nil, 0o600)
}

// followText names the leader by its private socket, where the replication
// role needs no password.
func (e *Engine) followText(leaderPort int, slot string) string {
	conninfo := fmt.Sprintf("host=%s port=%d user=%s application_name=%s sslmode=disable connect_timeout=5",
		quoteConninfo(e.sockets), leaderPort, ReplicationRole, quoteConninfo(slot))
	return fmt.Sprintf("# Written by Changeover.\nprimary_conninfo = '%s'\nprimary_slot_name = '%s'\nrecovery_target_timeline = 'latest'\n",
		strings.ReplaceAll(conninfo, "'", "''"), strings.ReplaceAll(slot, "'", "''"))
}

// startedFollow is whom the postmaster was started to follow.
func (c cluster) startedFollow() string {
	text, err := os.ReadFile(filepath.Join(c.dir, startedFollowFile))
	if err != nil {
		return ""
	}
	return string(text)
}

// recordStart keeps what the postmaster is about to read only once.
func (c cluster) recordStart() error {
	follow, err := os.ReadFile(c.path(followFile))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.dir, startedFollowFile), follow, 0o600); err != nil {
		return err
	}
	return os.WriteFile(c.started(), []byte(c.restartText()), 0o600)
}
