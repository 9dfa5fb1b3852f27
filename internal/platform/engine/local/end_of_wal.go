package local

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

const (
	walPage        = 8192
	walPageHeader  = 24
	walFirstHeader = 40
	walSegment     = 1 << 20 // initdb --wal-segsize=1
)

// walRecord is a line of pg_waldump.
var walRecord = regexp.MustCompile(`len \(rec/tot\):\s*\d+/\s*(\d+), .*lsn: ([0-9A-F]+/[0-9A-F]+), .*desc: (\S+)`)

// EndOfWAL reads the end of the last record in a stopped server's directory,
// beginning at its checkpoint from: the least place at which the timeline of a
// follower that lost nothing can begin.
func (e *Engine) EndOfWAL(ctx context.Context, s engine.Server, from engine.ControlData) (platform.LSN, error) {
	c, err := e.cluster(s)
	if err != nil {
		return 0, err
	}
	if err := c.mustBeComplete(); err != nil {
		return 0, err
	}
	path, err := e.program(c.major, "pg_waldump")
	if err != nil {
		return 0, err
	}
	// It ends with an error where the records end: its output is what counts.
	out, runErr := e.command(ctx, path, "-p", filepath.Join(c.data, "pg_wal"), "-t", strconv.Itoa(from.Timeline), "-s", from.CheckpointLSN.String()).Output()
	end := platform.LSN(0)
	for _, line := range strings.Split(string(out), "\n") {
		m := walRecord.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		length, err := strconv.ParseUint(m[1], 10, 32)
		if err != nil {
			return 0, err
		}
		start, err := platform.ParseLSN(m[2])
		if err != nil {
			return 0, err
		}
		if end = endOfRecord(start, length); m[3] == "SWITCH" {
			end = (start/walSegment + 1) * walSegment // the rest of the segment is its own
		}
	}
	if end == 0 {
		return 0, fmt.Errorf("no record at %s in the WAL of %s: %w", from.CheckpointLSN, c.name, runErr)
	}
	return end, nil
}

// endOfRecord is where a record of that length ends: records go on past page
// borders, behind the next page's header, and end on a multiple of eight.
func endOfRecord(start platform.LSN, length uint64) platform.LSN {
	at := uint64(start)
	for {
		room := walPage - at%walPage
		if length <= room {
			return platform.LSN((at + length + 7) &^ 7)
		}
		length -= room
		at += room
		if at%walSegment == 0 {
			at += walFirstHeader
		} else {
			at += walPageHeader
		}
	}
}
