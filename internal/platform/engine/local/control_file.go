package local

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/engine"
)

// Where pg_control holds what we need, the same from PostgreSQL 13 to 18.
const (
	controlSystemIdentifier = 0
	controlState            = 16
	controlCheckpoint       = 32
	controlTimeline         = 48
	controlSmallest         = 200 // the checksum, the last field, is somewhere past this
	controlLargest          = 512 // and before this
)

// controlStates are pg_control's states in their numbers' order.
var controlStates = []engine.ControlState{
	"starting up", engine.ShutDown, engine.ShutDownInRecovery, "shutting down",
	engine.InCrashRecovery, engine.InArchiveRecovery, engine.InProduction,
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readControlFile reads global/pg_control itself: microseconds, so that it can
// be polled in an outage. What a decision rests on is proven by controlData.
func readControlFile(data string) (engine.ControlData, error) {
	var err error
	// A reading in the middle of a write has a wrong checksum; the next one is whole.
	for range 20 {
		var text []byte
		if text, err = os.ReadFile(filepath.Join(data, "global", "pg_control")); err != nil {
			return engine.ControlData{}, err
		}
		var c engine.ControlData
		if c, err = parseControlFile(text); err == nil {
			return c, nil
		}
		time.Sleep(100 * time.Microsecond)
	}
	return engine.ControlData{}, err
}

func parseControlFile(text []byte) (engine.ControlData, error) {
	if len(text) < controlLargest {
		return engine.ControlData{}, fmt.Errorf("pg_control has %d bytes only", len(text))
	}
	// The checksum's place differs between majors and covers all before it.
	order := binary.NativeEndian
	sum := crc32.Checksum(text[:controlSmallest], castagnoli)
	valid := false
	for at := controlSmallest; at+4 <= controlLargest && !valid; at += 4 {
		valid = sum == order.Uint32(text[at:])
		sum = crc32.Update(sum, castagnoli, text[at:at+4])
	}
	if !valid {
		return engine.ControlData{}, fmt.Errorf("pg_control's checksum is wrong")
	}
	state := order.Uint32(text[controlState:])
	if int(state) >= len(controlStates) {
		return engine.ControlData{}, fmt.Errorf("pg_control has the unknown state %d", state)
	}
	return engine.ControlData{
		SystemIdentifier: order.Uint64(text[controlSystemIdentifier:]),
		State:            controlStates[state],
		CheckpointLSN:    platform.LSN(order.Uint64(text[controlCheckpoint:])),
		Timeline:         int(order.Uint32(text[controlTimeline:])),
	}, nil
}

// controlData is what PostgreSQL's own pg_controldata says.
func (e *Engine) controlData(ctx context.Context, c cluster) (engine.ControlData, error) {
	path, err := e.program(c.major, "pg_controldata")
	if err != nil {
		return engine.ControlData{}, err
	}
	out, err := e.command(ctx, path, "-D", c.data).CombinedOutput()
	if err != nil {
		return engine.ControlData{}, fmt.Errorf("pg_controldata of %s: %w: %s", c.name, err, lastLines(string(out), 3))
	}
	fields := map[string]string{}
	for _, line := range strings.Split(string(out), "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields[name] = strings.TrimSpace(value)
		}
	}
	var data engine.ControlData
	data.State = engine.ControlState(fields["Database cluster state"])
	if data.SystemIdentifier, err = strconv.ParseUint(fields["Database system identifier"], 10, 64); err != nil {
		return engine.ControlData{}, fmt.Errorf("pg_controldata of %s: system identifier: %w", c.name, err)
	}
	if data.CheckpointLSN, err = platform.ParseLSN(fields["Latest checkpoint location"]); err != nil {
		return engine.ControlData{}, fmt.Errorf("pg_controldata of %s: checkpoint: %w", c.name, err)
	}
	if data.Timeline, err = strconv.Atoi(fields["Latest checkpoint's TimeLineID"]); err != nil {
		return engine.ControlData{}, fmt.Errorf("pg_controldata of %s: timeline: %w", c.name, err)
	}
	return data, nil
}
