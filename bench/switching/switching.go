// Package switching measures planned switches of the real program beside the
// same switch made by a script, in one run and in turns: what writers with
// direct connections see of it, and whether anything that was acknowledged is
// missing afterwards. bench/changeover and bench/upgrade say which switch;
// docs/benchmarks.md tells what is measured and how. It knows the program from
// outside only.
package switching

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"changeover/bench/cluster"
)

// Benchmark is one kind of planned switch that is compared with the script's.
type Benchmark struct {
	Name  string // the folder below bench/, and "bench" of the last line
	Title string // what the switch is called, at the beginning of a sentence
	// New makes the program's side; its program runs, and its app has a database.
	New func(*Product) Side
	// Pooled: the writers go through a connection pool on both sides.
	Pooled bool
	// Clients are the numbers of writers that are measured, one after the other,
	// unless the flag says one; 8 when there are none.
	Clients []int
}

// Main runs the benchmark as a command. The last line of its output is one JSON
// object. The exit status is 0 whenever it measured, whatever the figures are.
func (b Benchmark) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(b.Name, os.Args[1:])
	if err == nil {
		err = b.Report(ctx, s, os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "bench/%s: %v\n", b.Name, err)
		os.Exit(1)
	}
}

// Report runs the benchmark and prints what it found.
func (b Benchmark) Report(ctx context.Context, s Settings, out io.Writer) error {
	if len(s.Sizes) > 0 {
		return b.reportSizes(ctx, s, out)
	}
	counts := b.Clients
	if s.Writers != 0 {
		counts = []int{s.Writers}
	} else if len(counts) == 0 {
		counts = []int{8}
	}
	var line map[string]any
	for _, count := range counts {
		s.Writers = count
		found, err := b.run(ctx, s)
		if err != nil {
			return err
		}
		found.print(out, b, s)
		if more := found.summary(b); line == nil {
			line = more
		} else {
			delete(more, "bench")
			line[fmt.Sprintf("clients_%d", count)] = more
		}
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", text)
	return err
}

// contest is both contestants after the last switch; program is nil when the
// peer was alone.
type contest struct{ program, peer *contestant }

// run makes both sides and lets them take turns. It leaves nothing running.
func (b Benchmark) run(ctx context.Context, s Settings) (found contest, err error) {
	home, err := makeHome()
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, leaveNothing(home, s)) }()
	finish := func(side Side) { err = errors.Join(err, side.Close(context.WithoutCancel(ctx))) }

	var program Side
	like := map[string]string{}
	if !s.OnlyPeer {
		product, err := newProduct(ctx, filepath.Join(home, "p"), b, s)
		if product != nil {
			program = b.New(product)
			defer finish(program)
		}
		if err != nil {
			return found, err
		}
		if like, err = settingsOf(ctx, product.Leader.URL); err != nil {
			return found, err
		}
	}
	peer, err := newHandMade(ctx, filepath.Join(home, "h"), like, b.Pooled, s.Segment)
	if peer != nil {
		defer finish(peer)
	}
	if err != nil {
		return found, err
	}
	fmt.Fprintf(s.Logger, "filling the leaders with %d MiB each\n", s.Size>>20)
	if found.peer, err = b.begin(ctx, peer, s); err != nil {
		return found, err
	}
	order := []*contestant{found.peer}
	if program != nil {
		if found.program, err = b.begin(ctx, program, s); err != nil {
			return found, err
		}
		order = []*contestant{found.program, found.peer}
	}
	for i := range 2 * s.Pairs {
		for j := range order {
			// Each of them begins every other round.
			c := order[(i+j)%len(order)]
			if err := c.turn(ctx); err != nil {
				return found, err
			}
			m := c.switches[len(c.switches)-1]
			fmt.Fprintf(s.Logger, "%2d/%d %-9s gap %4d ms, lost %d\n", i+1, 2*s.Pairs, c.Name(), m.report.LongestGap.Milliseconds(), len(m.audit.Lost))
		}
	}
	for _, c := range order {
		if err := c.end(ctx); err != nil {
			return found, err
		}
	}
	return found, nil
}

// leaveNothing removes home after the run, and ends what should have ended.
func leaveNothing(home string, s Settings) (err error) {
	for _, pid := range cluster.ProcessesIn(home) {
		// Only a server that this run made can be at home here.
		err = errors.Join(err, fmt.Errorf("process %d was left in %s", pid, home), syscall.Kill(pid, syscall.SIGQUIT))
	}
	if s.Keep {
		fmt.Fprintf(s.Logger, "kept: %s\n", home)
		return err
	}
	return errors.Join(err, os.RemoveAll(home))
}

// ScriptedGap is the median of the longest gap of one writer, in milliseconds, in
// switches by the script alone, with WAL segments of that size. A switch that
// loses or breaks anything is an error.
func ScriptedGap(ctx context.Context, segmentMB int, s Settings) (float64, error) {
	s.OnlyPeer, s.Segment = true, segmentMB
	found, err := Benchmark{Name: "hand-made", Title: "By hand"}.run(ctx, s)
	if err != nil {
		return 0, err
	}
	f := found.peer.figures()
	if f.Lost+f.Failed+f.TwoWritable+f.Unsound > 0 {
		return 0, fmt.Errorf("%d lost, %d failed, %d moments with two writable leaders, %d unsound: %v", f.Lost, f.Failed, f.TwoWritable, f.Unsound, f.Errors)
	}
	return f.Median, nil
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
