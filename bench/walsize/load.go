package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
)

// load is what clients do, one transaction after the other, each waiting for the disk.
type load struct {
	name  string
	title string
	once  func(ctx context.Context, conn *pgx.Conn, rows int) error
}

var body = strings.Repeat("0123456789abcdef", 62) // about one kB, too short to be compressed

var loads = []load{
	{"inserts", "inserts of one kB", func(ctx context.Context, conn *pgx.Conn, _ int) error {
		_, err := conn.Exec(ctx, "insert into appended (body) values ($1)", body)
		return err
	}},
	{"updates", "updates of one kB", func(ctx context.Context, conn *pgx.Conn, rows int) error {
		_, err := conn.Exec(ctx, "update updated set n = n + 1, body = $2 where id = $1", rand.IntN(rows)+1, body)
		return err
	}},
	{"batches", "inserts of 200 kB", func(ctx context.Context, conn *pgx.Conn, _ int) error {
		_, err := conn.Exec(ctx, "insert into appended (body) select $1 from generate_series(1, 200)", body)
		return err
	}},
}

// measure loads the server once, from a fresh checkpoint on.
func (s *side) measure(ctx context.Context, l load, with settings) error {
	for _, statement := range []string{"truncate appended", "checkpoint"} {
		if err := s.Exec(ctx, statement); err != nil {
			return err
		}
	}
	conns := make([]*pgx.Conn, with.clients)
	for i := range conns {
		conn, err := pgx.Connect(ctx, s.Conninfo()+" dbname=postgres")
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		conns[i] = conn
	}
	before, err := walEnd(ctx, conns[0])
	if err != nil {
		return err
	}
	var done atomic.Int64
	errs := make([]error, with.clients)
	begin := time.Now()
	var all sync.WaitGroup
	for i, conn := range conns {
		all.Go(func() {
			for time.Since(begin) < with.each && ctx.Err() == nil {
				if errs[i] = l.once(ctx, conn, with.rows); errs[i] != nil {
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(begin).Seconds()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	after, err := walEnd(ctx, conns[0])
	if err != nil {
		return err
	}
	s.tps[l.name] = append(s.tps[l.name], float64(done.Load())/took)
	s.wal[l.name] = append(s.wal[l.name], (after-before)/1e6/took)
	return nil
}

func walEnd(ctx context.Context, conn *pgx.Conn) (at float64, err error) {
	return at, conn.QueryRow(ctx, "select (pg_current_wal_lsn() - '0/0'::pg_lsn)::float8").Scan(&at)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// print shows medians, and how the small segments' stand to the large ones'.
func print(out io.Writer, sides []*side, s settings) error {
	small, large := sides[0], sides[1]
	line := map[string]any{"bench": "walsize", "runs": s.rounds, "failed": 0, "lost": 0}
	fmt.Fprintf(out, "WAL segments of %d MB beside %d MB: %d clients, %d rounds of %s a load\n\n", small.segment, large.segment, s.clients, s.rounds, s.each)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "median\t%d MB\t%d MB\tratio\t\n", small.segment, large.segment)
	row := func(title string, a, b float64, digits int) float64 {
		ratio := a / max(b, 1e-9)
		fmt.Fprintf(w, "%s\t%.*f\t%.*f\t%.3f\t\n", title, digits, a, digits, b, ratio)
		return float64(int(ratio*1000+0.5)) / 1000
	}
	worst := 0.0
	for _, l := range loads {
		a, b := median(small.tps[l.name]), median(large.tps[l.name])
		ratio := row(l.title+", transactions/s", a, b, 0)
		row(l.title+", MB/s of WAL", median(small.wal[l.name]), median(large.wal[l.name]), 1)
		line[l.name] = map[string]any{"tps": map[string]float64{"1MB": tenth(a), "16MB": tenth(b)}, "throughput_ratio": ratio}
		worst = max(worst, b/max(a, 1e-9))
	}
	if small.gap > 0 {
		line["switch"] = map[string]any{"median_ms": map[string]float64{"1MB": tenth(small.gap), "16MB": tenth(large.gap)},
			"ratio": row("a switch by the script, longest gap of a writer, ms", small.gap, large.gap, 1)}
	}
	w.Flush()
	fmt.Fprintln(out)
	// As everywhere: ours by the other's, smaller is better; here the time that the
	// same work takes, at the load where small segments do worst.
	line["ratio"] = float64(int(worst*1000+0.5)) / 1000
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", text)
	return err
}

func tenth(v float64) float64 { return float64(int(v*10+0.5)) / 10 }
