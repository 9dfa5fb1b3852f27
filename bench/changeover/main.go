// Command changeover measures follower changeovers of the real program beside
// the same switch made by a script, in one run and in turns: what eight writers
// with direct connections see of it, and whether anything that was acknowledged
// is missing afterwards. docs/benchmarks.md tells what is measured and how.
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
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"changeover/bench/cluster"
)

// settings are the flags.
type settings struct {
	size     int64 // bytes of data beside the ledger
	writers  int
	pairs    int // each is a changeover there and one back
	onlyPeer bool
	keep     bool
	logger   io.Writer // progress, for a person who waits
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(os.Args[1:])
	if err == nil {
		err = report(ctx, s, os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench/changeover:", err)
		os.Exit(1)
	}
}

func parse(args []string) (settings, error) {
	s := settings{logger: os.Stderr}
	flags := flag.NewFlagSet("changeover", flag.ContinueOnError)
	size := flags.String("size", "1GiB", "data in the leader beside the ledger, such as 100MiB")
	flags.IntVar(&s.writers, "writers", 8, "writers with a connection each; the first has synchronous_commit off")
	flags.IntVar(&s.pairs, "pairs", 10, "how often to go there and back")
	short := flags.Bool("short", false, "100 MiB and 2 pairs, unless said otherwise")
	flags.BoolVar(&s.onlyPeer, "only-peer", false, "measure the script alone")
	flags.BoolVar(&s.keep, "keep", false, "leave the directory there for a look at logs")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if *short {
		given := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["size"] {
			*size = "100MiB"
		}
		if !given["pairs"] {
			s.pairs = 2
		}
	}
	var err error
	if s.size, err = parseSize(*size); err != nil {
		return s, err
	}
	if s.writers < 1 || s.pairs < 1 {
		return s, errors.New("-writers and -pairs are at least 1")
	}
	return s, nil
}

// parseSize reads a number of bytes: 1GiB, 100MiB.
func parseSize(text string) (int64, error) {
	for unit, bytes := range map[string]int64{"GiB": 1 << 30, "MiB": 1 << 20} {
		if number, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseInt(number, 10, 64)
			if err == nil && n > 0 && n < 1<<20 {
				return n * bytes, nil
			}
		}
	}
	return 0, fmt.Errorf("-size %s is not a size such as 1GiB or 100MiB", text)
}

// report runs the benchmark and prints what it found.
func report(ctx context.Context, s settings, out io.Writer) error {
	found, err := run(ctx, s)
	if err != nil {
		return err
	}
	found.print(out, s)
	return nil
}

// contest is both contestants after the last switch; program is nil when the
// peer was alone.
type contest struct{ program, peer *contestant }

// run makes both sides and lets them take turns. It leaves nothing running.
func run(ctx context.Context, s settings) (found contest, err error) {
	home, err := makeHome()
	if err != nil {
		return found, err
	}
	defer func() {
		for _, pid := range cluster.ProcessesIn(home) {
			// Only a server that this run made can be at home here.
			err = errors.Join(err, fmt.Errorf("process %d was left in %s", pid, home), syscall.Kill(pid, syscall.SIGQUIT))
		}
		if s.keep {
			fmt.Fprintf(s.logger, "kept: %s\n", home)
			return
		}
		err = errors.Join(err, os.RemoveAll(home))
	}()
	finish := func(side side) { err = errors.Join(err, side.close(context.WithoutCancel(ctx))) }

	var program *program
	like := map[string]string{}
	if !s.onlyPeer {
		program, err = newProgram(ctx, filepath.Join(home, "p"), s)
		if program != nil {
			defer finish(program)
		}
		if err != nil {
			return found, err
		}
		if like, err = settingsOf(ctx, program.leader.url); err != nil {
			return found, err
		}
	}
	peer, err := newHandMade(ctx, filepath.Join(home, "h"), like)
	if peer != nil {
		defer finish(peer)
	}
	if err != nil {
		return found, err
	}
	fmt.Fprintf(s.logger, "filling the leaders with %d MiB each\n", s.size>>20)
	if found.peer, err = begin(ctx, peer, s); err != nil {
		return found, err
	}
	order := []*contestant{found.peer}
	if program != nil {
		if found.program, err = begin(ctx, program, s); err != nil {
			return found, err
		}
		order = []*contestant{found.program, found.peer}
	}
	for i := range 2 * s.pairs {
		for j := range order {
			// Each of them begins every other round.
			c := order[(i+j)%len(order)]
			if err := c.turn(ctx); err != nil {
				return found, err
			}
			m := c.switches[len(c.switches)-1]
			fmt.Fprintf(s.logger, "%2d/%d %-9s gap %4d ms, lost %d\n", i+1, 2*s.pairs, c.name(), m.report.LongestGap.Milliseconds(), len(m.audit.Lost))
		}
	}
	for _, c := range order {
		if err := c.end(ctx); err != nil {
			return found, err
		}
	}
	return found, nil
}

// makeHome is a directory with a path short enough for Unix sockets, which the
// unprivileged user can enter.
func makeHome() (string, error) {
	programs, err := cluster.Find(0)
	if err != nil {
		return "", err
	}
	home, err := os.MkdirTemp("", "bench")
	if err != nil {
		return "", err
	}
	return home, programs.Own(home)
}
