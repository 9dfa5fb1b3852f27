package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// stateFile is in the demo's directory. It also marks the directory as one that
// may be removed.
const stateFile = "demo.json"

// lockFile is held by the demo that runs, and has its pid.
const lockFile = "demo.lock"

// state is what the demo remembers of what it made.
type state struct {
	Complete   bool   `json:"complete"`
	Held       string `json:"held"`       // the follower that a long query holds up
	Fork       string `json:"fork"`       // the unfollowed follower
	Changeover int64  `json:"changeover"` // the operation that went through
	Undone     int64  `json:"undone"`     // the one that was put back
}

// readState is nil where no demo was ever begun.
func readState(home string) (*state, error) {
	text, err := os.ReadFile(filepath.Join(home, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &state{}
	// A file that was being written when the machine died is an unfinished demo.
	_ = json.Unmarshal(text, s)
	return s, nil
}

func (s state) write(home string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(home, stateFile)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// isEmpty is whether there is nothing in home but the lock.
func isEmpty(home string) (bool, error) {
	entries, err := os.ReadDir(home)
	for _, e := range entries {
		if e.Name() != lockFile {
			return false, err
		}
	}
	return true, err
}

// errRunning is that another demo holds the lock.
var errRunning = errors.New("the demo runs already")

// lock takes the demo's directory for the life of this process.
func (d *demo) lock() (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(d.program.Home, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(errRunning, file.Close())
	}
	if err := file.Truncate(0); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	_, err = fmt.Fprintf(file, "%d\n", os.Getpid())
	return file, err
}

// holder is the pid of the demo that holds the lock.
func (d *demo) holder() (int, error) {
	text, err := os.ReadFile(filepath.Join(d.program.Home, lockFile))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
