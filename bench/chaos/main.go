// Command chaos runs the real program for a while, switch after switch, and
// does it harm at random moments: it kills, freezes and restarts what an
// operation needs, one thing at a time and then two. After each operation it
// looks whether anything that a database had acknowledged is missing, whether
// two servers took writes, and whether everything goes on by itself.
// docs/benchmarks.md tells what is done and what is counted.
//
// The last line of its output is one JSON object. The exit status is 0 whenever
// it measured, whatever it found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	length  time.Duration // no operation is begun after it
	seed    uint64
	writers int           // direct ones; as many through the pool
	most    int           // faults in one operation
	only    string        // faults whose names begin so; all when empty
	slack   time.Duration // how many times the bars of time are stretched; for tests, which run beside others
	keep    bool
	logger  io.Writer // progress, for a person who waits
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(os.Args[1:])
	if err == nil {
		_, err = report(ctx, s, os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench/chaos:", err)
		os.Exit(1)
	}
}

func parse(args []string) (settings, error) {
	s := settings{logger: os.Stderr}
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.DurationVar(&s.length, "for", 5*time.Minute, "how long operations are begun; in the second half two faults may come together")
	flags.Uint64Var(&s.seed, "seed", 0, "repeats the choices of a run that printed it; 0 takes a new one")
	flags.IntVar(&s.writers, "writers", 4, "writers with direct connections, and as many through the connection pool")
	flags.IntVar(&s.most, "faults", 2, "faults in one operation, at most")
	flags.StringVar(&s.only, "only", "", "only faults whose names begin so")
	flags.BoolVar(&s.keep, "keep", false, "leave the directory with the servers and their logs there and print where")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	return s, s.check()
}

func (s *settings) check() error {
	s.slack = max(s.slack, 1)
	if s.seed == 0 {
		s.seed = uint64(time.Now().UnixNano())
	}
	switch {
	case s.length <= 0 || s.writers < 1 || s.most < 0:
		return errors.New("-for, -writers and -faults take numbers above 0")
	case len(chosen(s.only)) == 0:
		return fmt.Errorf("no fault's name begins with %q; there are: %s", s.only, strings.Join(names(), ", "))
	}
	return nil
}

// report runs the trial and prints what it found.
func report(ctx context.Context, s settings, out io.Writer) (*findings, error) {
	fmt.Fprintf(s.logger, "seed %d\n", s.seed)
	t, err := newTrial(ctx, s)
	if err != nil {
		return nil, err
	}
	err = t.run(ctx)
	err = errors.Join(err, t.close(context.WithoutCancel(ctx)))
	if err != nil {
		return t.found, err
	}
	return t.found, t.found.print(out, s)
}
