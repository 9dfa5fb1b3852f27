// Package main is Changeover, the whole process: the supervisor, the web
// server, the workers and the command line. It may import everything of ours;
// nothing imports it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"changeover/internal/platform/guardian"
	"changeover/internal/supervise"
)

const usage = `Changeover keeps PostgreSQL databases and moves them to other plans.

  changeover                              serve the dashboard
  changeover sign-in-link [-email E]      print a one-time link that signs a user in
  changeover token -email E [-name N]     print an API token; E becomes an admin when there is no user yet
  changeover stop-all                     stop the program, every database and the control database
  changeover version                      print the version
  changeover help                         print this

Settings come from the environment; docs/settings.md lists them.
`

func main() {
	os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is main with its surroundings given; it returns the exit status.
func run(args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "help", "-h", "-help", "--help":
		_, _ = io.WriteString(stdout, usage)
		return 0
	case "version", "-version", "--version":
		_, _ = fmt.Fprintln(stdout, version())
		return 0
	}
	cfg, err := readConfig(getenv, os.Geteuid() == 0)
	if err != nil {
		return fail(stderr, err, 2)
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	switch {
	case command == "serve" && len(args) == 0 && supervise.Supervised():
		ctx, cancel := supervise.LiveUnder(ctx)
		defer cancel()
		if err := serve(ctx, cfg, log, stdout); err != nil {
			var hopeless *hopelessError
			if errors.As(err, &hopeless) {
				return fail(stderr, err, supervise.ExitForGood)
			}
			return fail(stderr, err, 1)
		}
		return 0
	case command == "serve" && len(args) == 0:
		stop()
		return superviseProgram(cfg, stderr)
	case command == "sign-in-link":
		err = signInLinkCommand(ctx, cfg, args, stdout, stderr)
	case command == "token":
		err = tokenCommand(ctx, cfg, args, stdout, stderr)
	case command == guardian.Command && len(args) == 0:
		err = guardCommand(ctx, cfg, log)
	case command == "stop-all" && len(args) == 0:
		err = stopAllCommand(ctx, cfg, log, stdout)
	default:
		_, _ = fmt.Fprintf(stderr, "changeover: %q is not understood.\n\n%s", command, usage)
		return 2
	}
	if err != nil {
		return fail(stderr, err, 1)
	}
	return 0
}

// hopelessError ends the program: starting it again would fail the same way.
type hopelessError struct{ err error }

func (e *hopelessError) Error() string { return e.err.Error() }
func (e *hopelessError) Unwrap() error { return e.err }

func hopeless(format string, args ...any) error {
	return &hopelessError{fmt.Errorf(format, args...)}
}

func fail(stderr io.Writer, err error, status int) int {
	_, _ = fmt.Fprintf(stderr, "changeover: %v\n", err)
	return status
}

// superviseProgram runs this same program as a worker, again and again.
func superviseProgram(cfg config, stderr io.Writer) int {
	self, err := os.Executable()
	if err != nil {
		return fail(stderr, err, 1)
	}
	s := &supervise.Supervisor{
		Command: []string{self}, Env: os.Environ(), Home: cfg.Home, Stderr: stderr,
		Silence: 10, Drain: 25 * time.Second,
	}
	if os.Getpid() == 1 {
		// A container ends with its first process: whatever still runs would be
		// killed, so the databases are stopped cleanly before (safety 4).
		s.AfterEnd = func() {
			_ = os.Remove(supervise.PIDFile(cfg.Home)) // stop-all must not signal us
			process, err := os.StartProcess(self, []string{self, "stop-all"}, &os.ProcAttr{
				Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
			})
			if err != nil {
				fail(stderr, fmt.Errorf("the databases could not be stopped: %w", err), 1)
				return
			}
			pid := process.Pid
			_ = process.Release()
			supervise.WaitFor(pid)
		}
	}
	return s.Run()
}

// version is what the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "changeover, version unknown"
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = " " + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = " with changes"
		}
	}
	return "changeover " + info.Main.Version + revision + modified + ", " + info.GoVersion
}
