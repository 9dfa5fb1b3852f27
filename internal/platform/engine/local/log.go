package local

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"changeover/internal/platform/engine"
)

const (
	logLimit = 20 * megabyte
	logTail  = 256 * 1024 // what is read to find the last lines
)

// Log is the last n lines that s wrote.
func (e *Engine) Log(s engine.Server, n int) string {
	c, err := e.cluster(s)
	if err != nil {
		return ""
	}
	return c.log(0, n)
}

// log is the last n lines written past the position from.
func (c cluster) log(from int64, n int) string {
	f, err := os.Open(c.logPath())
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	if _, err := f.Seek(max(min(from, info.Size()), info.Size()-logTail), io.SeekStart); err != nil {
		return ""
	}
	text, err := io.ReadAll(io.LimitReader(f, 2*logTail))
	if err != nil {
		return ""
	}
	return lastLines(string(text), n)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}

// TrimLogs empties every server log over 20 MB. PostgreSQL appends, so it goes
// on at the file's new end; call it now and then.
func (e *Engine) TrimLogs() error {
	var errs []error
	logs := []string{filepath.Join(e.config.Home, "control", logFile)}
	for _, zone := range append(zoneDirs(e.config.Zones), e.config.Home) {
		found, _ := filepath.Glob(filepath.Join(zone, "servers", "*", logFile)) // the only error is a malformed pattern
		logs = append(logs, found...)
	}
	for _, c := range e.foundPools() {
		logs = append(logs, c.logPath())
	}
	for _, path := range logs {
		errs = append(errs, trimLog(path))
	}
	return errors.Join(errs...)
}

func trimLog(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= logLimit {
		return nil //nolint:nilerr // no log yet is fine
	}
	return os.Truncate(path, 0)
}

func (c cluster) logPath() string { return filepath.Join(c.dir, logFile) }
func (c cluster) started() string { return filepath.Join(c.dir, startedFile) }
