// Command walsize measures what small WAL segments cost under a heavy write load
// and what they save in a switch: two servers that differ in nothing else, one
// with segments of 1 MB as the program makes them, one with PostgreSQL's usual 16,
// loaded in turns. docs/benchmarks.md tells what is measured and how.
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
	"syscall"
	"time"

	"changeover/bench/cluster"
	"changeover/bench/switching"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(os.Args[1:])
	if err == nil {
		err = report(ctx, s, os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "bench/walsize: %v\n", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	rounds  int
	clients int
	each    time.Duration // of one load on one server in one round
	rows    int           // of the table that is updated
	pairs   int           // switches there and back, on each size; 0 for none
	logger  io.Writer
}

func parse(args []string) (settings, error) {
	s := settings{logger: os.Stderr}
	flags := flag.NewFlagSet("walsize", flag.ContinueOnError)
	flags.IntVar(&s.rounds, "rounds", 5, "rounds; in each both servers get both loads")
	flags.IntVar(&s.clients, "clients", 8, "clients, each with a connection")
	flags.DurationVar(&s.each, "each", 10*time.Second, "how long a load lasts on one server in one round")
	flags.IntVar(&s.rows, "rows", 100_000, "rows of about one kB in the table that is updated")
	flags.IntVar(&s.pairs, "pairs", 3, "switches there and back by the script, with each segment size; 0 for none")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if s.rounds < 1 || s.clients < 1 || s.each <= 0 || s.rows < 1 || s.pairs < 0 {
		return s, errors.New("-rounds, -clients, -each and -rows are at least 1, -pairs at least 0")
	}
	return s, nil
}

// segments are the sizes that are compared, in MB: ours, and PostgreSQL's own.
var segments = [2]int{1, 16}

// side is one of the two servers and what it did.
type side struct {
	*cluster.Cluster
	segment int
	tps     map[string][]float64 // by load, one a round
	wal     map[string][]float64 // MB a second
	gap     float64              // median of the longest gap of one writer in a switch, ms; 0: not measured
}

func report(ctx context.Context, s settings, out io.Writer) (err error) {
	home, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(home)) }()
	sides, err := begin(ctx, home, s)
	defer func() {
		for _, side := range sides {
			err = errors.Join(err, side.Stop(context.WithoutCancel(ctx)))
		}
	}()
	if err != nil {
		return err
	}
	for round := range s.rounds {
		for _, l := range loads {
			for i := range sides {
				side := sides[(i+round)%len(sides)] // each begins every other round
				if err := side.measure(ctx, l, s); err != nil {
					return err
				}
				n := len(side.tps[l.name]) - 1
				fmt.Fprintf(s.logger, "%d/%d %s, %2d MB: %.0f transactions/s, %.1f MB/s of WAL\n", round+1, s.rounds, l.name, side.segment, side.tps[l.name][n], side.wal[l.name][n])
			}
		}
	}
	if s.pairs > 0 {
		for _, side := range sides {
			fmt.Fprintf(s.logger, "switches with segments of %d MB\n", side.segment)
			side.gap, err = switching.ScriptedGap(ctx, side.segment, switching.Settings{Size: 100 << 20, Writers: s.clients, Pairs: s.pairs, OnlyPeer: true, Logger: io.Discard})
			if err != nil {
				return err
			}
		}
	}
	return print(out, sides, s)
}

// begin makes both servers and fills the tables.
func begin(ctx context.Context, home string, s settings) (sides []*side, err error) {
	programs, err := cluster.Find(0)
	if err != nil {
		return nil, err
	}
	if err := programs.Own(home); err != nil {
		return nil, err
	}
	for _, segment := range segments {
		programs.SegmentMB = segment
		// What a server of the plan standard-2 has where it matters here.
		c, err := programs.Init(ctx, filepath.Join(home, fmt.Sprint(segment)), map[string]string{
			"shared_buffers": "128MB", "wal_level": "logical", "max_wal_size": "1GB", "min_wal_size": "80MB", "checkpoint_timeout": "5min",
			"wal_log_hints": "on", "autovacuum": "on"})
		if err != nil {
			return sides, err
		}
		side := &side{Cluster: c, segment: segment, tps: map[string][]float64{}, wal: map[string][]float64{}}
		if err := c.Start(ctx); err != nil {
			return sides, err
		}
		sides = append(sides, side)
		fmt.Fprintf(s.logger, "filling the server with segments of %d MB\n", segment)
		for _, statement := range []string{
			"create table appended (id bigint generated always as identity primary key, body text not null)",
			"create table updated (id int primary key, n bigint not null, body text not null) with (fillfactor = 80)",
			fmt.Sprintf("insert into updated select i, 0, repeat(md5(i::text), 29) from generate_series(1, %d) i", s.rows),
			"vacuum analyze",
		} {
			if err := c.Exec(ctx, statement); err != nil {
				return sides, err
			}
		}
	}
	return sides, nil
}
