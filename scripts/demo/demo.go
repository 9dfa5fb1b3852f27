package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"changeover/bench/program"
)

// operator is who asks for everything that the demo does. The sign-in link is
// for the first user, so that the audit tells the two apart.
const operator = "mika@example.com"

// demo is one run of it.
type demo struct {
	program *program.Program
	api     *program.API
	state   state
	out     io.Writer
	began   time.Time
	living  context.Context // ends with the demo
	life    sync.WaitGroup  // writers and the long query, while living lasts
	mu      sync.Mutex      // guards out
}

// say prints one line of progress.
func (d *demo) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.out, "%5.1f s  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

// run makes the demo, or goes on with one that was made before, prints a
// sign-in link, and serves until ctx ends.
func (d *demo) run(ctx context.Context) error {
	if err := os.MkdirAll(d.program.Home, 0o711); err != nil {
		return err
	}
	lock, err := d.lock()
	if errors.Is(err, errRunning) {
		return d.showLink(ctx, "The demo runs already, in another terminal.")
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	// One that was killed has left its program behind.
	if err := d.program.EndOther(ctx); err != nil {
		return err
	}
	if err := d.addressIsFree(); err != nil {
		return err
	}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(d.program.Home, "demo.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	d.program.Stderr = log
	ctx, stop := context.WithCancel(ctx)
	d.living = ctx
	err = d.serve(ctx)
	stop()
	d.life.Wait()
	if stopErr := d.program.Stop(context.WithoutCancel(ctx)); stopErr != nil {
		err = errors.Join(err, stopErr)
	}
	if err != nil {
		return fmt.Errorf("%w\nThe program's log is %s. make demo-clean removes what was made", err, log.Name())
	}
	d.say("The dashboard, the writers and the long query have ended; the databases go on.")
	d.say("make demo goes on with them, make demo-clean removes everything.")
	return nil
}

// prepare decides whether there is a demo to go on with. One that was not
// finished is made anew: it is quicker than finding out how far it came.
func (d *demo) prepare(ctx context.Context) error {
	found, err := readState(d.program.Home)
	if err != nil {
		return err
	}
	if found != nil && !found.Complete {
		d.say("The demo of before was not finished; it is removed and made anew.")
		if err := d.remove(ctx); err != nil {
			return err
		}
		if err := os.MkdirAll(d.program.Home, 0o711); err != nil {
			return err
		}
		found = nil
	}
	if found != nil {
		d.state = *found
		return nil
	}
	if empty, err := isEmpty(d.program.Home); err != nil || !empty {
		return errors.Join(err, fmt.Errorf("%s holds something that is no demo; choose another directory: make demo DEMO_HOME=DIR", d.program.Home))
	}
	return d.state.write(d.program.Home)
}

// serve starts the program, makes what is missing, and waits for the end of ctx.
func (d *demo) serve(ctx context.Context) error {
	d.say("Starting the program in %s.", d.program.Home)
	err := d.program.Start(ctx)
	if err == nil {
		d.api, err = d.program.Token(ctx, operator)
	}
	if err == nil && d.state.Complete {
		d.say("Going on with the demo of before.")
		err = d.resume(ctx)
	} else if err == nil {
		err = d.make(ctx)
	}
	if err == nil {
		err = d.showLink(ctx, "The demo is ready.")
	}
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("the demo was interrupted before it was ready")
		}
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-d.program.Ended():
		return errors.New("the program ended by itself")
	}
}

// showLink prints a fresh link for the first user.
func (d *demo) showLink(ctx context.Context, title string) error {
	link, err := d.program.Run(ctx, "sign-in-link")
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	line := strings.Repeat("─", 76)
	fmt.Fprintf(d.out, "\n%s\n  %s Sign in with this link, once, within 24 hours:\n\n  %s\n\n", line, title, link)
	fmt.Fprintf(d.out, "  Ctrl-C ends the dashboard and the writers; the databases go on, and make\n  demo goes on with them. make demo-clean removes everything.\n%s\n\n", line)
	return nil
}

// addressIsFree says in one sentence what to do when it is not.
func (d *demo) addressIsFree() error {
	listener, err := net.Listen("tcp", d.program.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("another program listens on %s; stop it, or choose another port: make demo DEMO_ADDR=127.0.0.1:8096", d.program.Addr)
	}
	if err != nil {
		return err
	}
	return listener.Close()
}
