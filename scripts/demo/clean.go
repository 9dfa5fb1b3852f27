package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// endsWithin is how long a demo that runs in another terminal may take to end.
const endsWithin = time.Minute

// clean removes everything of the demo, however far it came and however it
// ended. Where there is nothing, nothing is done.
func (d *demo) clean(ctx context.Context) error {
	home := d.program.Home
	if _, err := os.Stat(home); errors.Is(err, os.ErrNotExist) {
		d.say("There is no demo in %s; nothing to remove.", home)
		return nil
	}
	found, err := readState(home)
	if err != nil {
		return err
	}
	if empty, err := isEmpty(home); err != nil || found == nil && !empty {
		return errors.Join(err, fmt.Errorf("%s is no demo's directory, so it is left alone", home))
	}
	lock, err := d.takeOver(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := d.remove(ctx); err != nil {
		return err
	}
	d.say("Removed: the demo's servers, its processes and %s.", home)
	return nil
}

// takeOver ends a demo that runs and takes its lock.
func (d *demo) takeOver(ctx context.Context) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, endsWithin)
	defer cancel()
	for asked := false; ; {
		lock, err := d.lock()
		if !errors.Is(err, errRunning) {
			return lock, err
		}
		if pid, err := d.holder(); err == nil && !asked {
			d.say("Ending the demo that runs (process %d).", pid)
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				return nil, fmt.Errorf("end the demo (process %d): %w", pid, err)
			}
			asked = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the demo does not end: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// remove ends what runs in the demo's directory and deletes it, the lock last:
// whoever waits for it finds nothing.
func (d *demo) remove(ctx context.Context) error {
	home := d.program.Home
	// It ends the program, too; where that was killed it stops its servers all
	// the same. Nothing was started where there is no key yet.
	if _, err := d.program.Run(ctx, "stop-all"); err != nil {
		d.say("Not everything could be stopped in order: %v", err)
	}
	if err := d.program.KillLeftovers(ctx); err != nil {
		return err
	}
	return os.RemoveAll(home)
}
