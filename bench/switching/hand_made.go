package switching

import (
	"bytes"
	"context"
	_ "embed" // the script runs from wherever the benchmark is started
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"changeover/bench/cluster"
)

//go:embed hand-made.sh
var handMadeScript string

// handMade is the peer: two clusters made by initdb and pg_basebackup, which
// the committed script switches back and forth.
type handMade struct {
	leader, follower *cluster.Cluster
	file             string        // what the writers read
	pool             *handMadePool // nil: direct connections
}

const (
	handMadeRole     = "app"
	handMadePassword = "hand-made"
)

// newHandMade makes an empty leader below dir; settings are those of the
// program's own servers, so that the two sides differ in the switch alone.
func newHandMade(ctx context.Context, dir string, settings map[string]string, pooled bool, segmentMB int) (*handMade, error) {
	programs, err := cluster.Find(0)
	if err != nil {
		return nil, err
	}
	programs.SegmentMB = segmentMB
	if err := programs.MakeDir(dir); err != nil {
		return nil, err
	}
	leader, err := programs.Init(ctx, filepath.Join(dir, "a"), settings)
	if err != nil {
		return nil, err
	}
	h := &handMade{leader: leader, file: filepath.Join(dir, "url")}
	if err := leader.Start(ctx); err != nil {
		return nil, err
	}
	for _, statement := range []string{
		fmt.Sprintf("create role %s login password '%s'", handMadeRole, handMadePassword),
		fmt.Sprintf("create database app owner %s", handMadeRole),
	} {
		if err := leader.Exec(ctx, statement); err != nil {
			return h, err
		}
	}
	if pooled {
		if h.pool, err = startHandMadePool(ctx, programs, filepath.Join(dir, "p"), leader); err != nil {
			return h, err
		}
	}
	return h, h.write(h.url(leader))
}

// Name is what the table calls it.
func (h *handMade) Name() string { return "hand-made" }

func (h *handMade) url(c *cluster.Cluster) string {
	return c.URL(handMadeRole, handMadePassword, "app")
}

// URLs are the two servers' own.
func (h *handMade) URLs() (leader, follower string) {
	leader = h.url(h.leader)
	if h.follower != nil {
		follower = h.url(h.follower)
	}
	return leader, follower
}

func (h *handMade) write(url string) error {
	if err := os.WriteFile(h.file, []byte(url+"\n"), 0o600); err != nil {
		return err
	}
	return h.leader.Own(h.file)
}

// Source reads the file. The script writes it in place, so a reader may find it
// empty for a moment and looks again.
func (h *handMade) Source(context.Context) (string, error) {
	if h.pool != nil {
		return h.pool.url, nil
	}
	data, err := os.ReadFile(h.file)
	url, isWhole := strings.CutSuffix(string(data), "\n")
	if err == nil && !isWhole {
		err = fmt.Errorf("the file with the URL is being written")
	}
	return url, err
}

// Prepare makes the follower the first time; later the script itself has left
// the old leader following the new one.
func (h *handMade) Prepare(ctx context.Context) error {
	if h.follower != nil {
		return nil
	}
	dir := filepath.Join(filepath.Dir(h.leader.Socket), "b")
	follower, err := h.leader.BaseBackup(ctx, dir, "hand_made", nil)
	if err != nil {
		return err
	}
	h.follower = follower
	if err := follower.Start(ctx); err != nil {
		return err
	}
	return h.leader.WaitForFollower(ctx, "hand_made")
}

// Switch runs the script.
func (h *handMade) Switch(ctx context.Context) (Outcome, error) {
	_, newURL := h.URLs()
	cmd := h.leader.Command(ctx, "bash", "-c", handMadeScript, "hand-made.sh", h.leader.BinDir, h.leader.Dir, h.follower.Dir, h.file)
	cmd.Env = append(cmd.Env, "NEW_URL="+newURL)
	if h.pool != nil {
		cmd.Env = append(cmd.Env, "POOL="+h.pool.console, "POOL_FILE="+h.pool.file, "POOL_NEXT="+h.pool.text(h.follower))
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		return Outcome{}, fmt.Errorf("%w: %s", err, strings.TrimSpace(complaints.String()))
	}
	h.leader, h.follower = h.follower, h.leader
	return parseSteps(string(out))
}

// parseSteps reads the script's lines "step NAME MILLISECONDS".
func parseSteps(out string) (Outcome, error) {
	down := map[string]bool{"pause": true, "resume": true, "stop": true, "replay": true, "end": true, "promote": true, "probe": true, "route": true}
	var o Outcome
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != "step" {
			return o, fmt.Errorf("the script printed %q", line)
		}
		ms, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			return o, fmt.Errorf("the script printed %q", line)
		}
		s := Step{Name: fields[1], Took: time.Duration(ms * float64(time.Millisecond)), InOutage: down[fields[1]]}
		if s.InOutage {
			o.ClaimedMS += ms
		}
		o.Steps = append(o.Steps, s)
	}
	return o, nil
}

// Close stops both servers.
func (h *handMade) Close(ctx context.Context) error {
	var first error
	if h.pool != nil {
		first = h.pool.stop()
	}
	for _, c := range []*cluster.Cluster{h.follower, h.leader} {
		if c == nil {
			continue
		}
		if err := c.Stop(ctx); err != nil && first == nil {
			first = err
		}
	}
	return first
}
