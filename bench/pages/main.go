// Command pages measures every page of the real program on a control database
// as a large house has it, and then how old the lag is that a thousand browsers
// show. docs/benchmarks.md tells what is measured and how.
//
// The last line of its output is one JSON object. The exit status is 0 whenever
// it measured, whatever the figures are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	databases, apps, notices int
	samples                  int // of all followers together
	requests                 int // of each page
	browsers                 int
	watch                    time.Duration // how long the browsers are watched
	keep                     bool
	logger                   io.Writer // progress, for a person who waits
}

// daySamples is how many samples a follower has when the program keeps a day
// of them, one a second.
const daySamples = 24*60*60 - 600 // the oldest are about to be forgotten

// followers share the samples, each with at most a day of them.
func (s settings) followers() int { return max(5, (s.samples+daySamples-1)/daySamples) }

func (s settings) samplesEach() int { return s.samples / s.followers() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(os.Args[1:])
	if err == nil {
		err = report(ctx, s, os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench/pages:", err)
		os.Exit(1)
	}
}

func parse(args []string) (settings, error) {
	s := settings{logger: os.Stderr}
	flags := flag.NewFlagSet("pages", flag.ContinueOnError)
	flags.IntVar(&s.databases, "databases", 500, "databases that are rows, without a server behind them")
	flags.IntVar(&s.apps, "apps", 20, "apps that they belong to")
	flags.IntVar(&s.notices, "notices", 50_000, "notices; as many rows of the audit")
	flags.IntVar(&s.samples, "samples", 5_000_000, "lag samples, at most a day of them a follower")
	flags.IntVar(&s.requests, "requests", 300, "requests of each page, one after the other")
	flags.IntVar(&s.browsers, "browsers", 1000, "browsers that watch one database, each of another user")
	flags.DurationVar(&s.watch, "watch", time.Minute, "how long they are watched")
	flags.BoolVar(&s.keep, "keep", false, "leave the directory there for a look at logs")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	return s, s.check()
}

func (s settings) check() error {
	switch {
	case s.apps < 2 || s.databases < 4*s.apps || s.databases > 1900:
		return errors.New("-apps is at least 2, -databases at least 4 times that and at most 1900: each has a port of its own")
	case s.followers() > s.databases/4:
		return fmt.Errorf("%d samples are %d followers with a day each, more than a quarter of %d databases", s.samples, s.followers(), s.databases)
	case s.requests < 1 || s.browsers < 1 || s.notices < 100 || s.samples < 5 || s.watch <= 0:
		return errors.New("-requests, -browsers and -watch are at least 1, -samples 5, -notices 100")
	}
	return nil
}

// report runs the benchmark and prints what it found.
func report(ctx context.Context, s settings, out io.Writer) error {
	found, err := run(ctx, s)
	if err != nil {
		return err
	}
	return found.print(out, s)
}
