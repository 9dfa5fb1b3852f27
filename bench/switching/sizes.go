package switching

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
)

// reportSizes measures the program alone, on one database that grows: whether an
// outage depends on how large the database is, with a busy WAL. The peer is left
// out so that the largest database is there twice at most, once on the leader and
// once on the server that is to take its place.
func (b Benchmark) reportSizes(ctx context.Context, s Settings, out io.Writer) (err error) {
	home, err := makeHome()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leaveNothing(home, s)) }()
	product, err := newProduct(ctx, filepath.Join(home, "p"), b, s)
	if product != nil {
		defer func() { err = errors.Join(err, product.Close(context.WithoutCancel(ctx))) }()
	}
	if err != nil {
		return err
	}
	if s.Writers == 0 {
		s.Writers = 8
	}
	var grown []grownTo
	var c *contestant
	for i, size := range s.Sizes {
		s.Size = size
		begin := time.Now()
		fmt.Fprintf(s.Logger, "filling the leader up to %s\n", sizeWords(size))
		if i == 0 {
			c, err = b.begin(ctx, b.New(product), s)
		} else {
			leader, _ := c.URLs()
			err = fill(ctx, leader, size)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Logger, "filled after %.0f s\n", time.Since(begin).Seconds())
		g, err := c.grow(ctx, s)
		if err != nil {
			return err
		}
		grown = append(grown, g)
	}
	if err := c.end(ctx); err != nil {
		return err
	}
	return b.printSizes(out, grown, c, s)
}

// grownTo is what was measured at one size.
type grownTo struct {
	size  int64
	bytes int64   // what the database had
	wal   float64 // MB a second while it was switched
	busy  int     // transactions of the busy clients that failed
	contestant
}

// grow is the switches there and back at one size, with clients that keep the
// WAL busy beside those whose waits are measured.
func (c *contestant) grow(ctx context.Context, s Settings) (g grownTo, err error) {
	from := len(c.switches)
	g.size = s.Size
	leader, _ := c.URLs()
	if g.bytes, err = databaseSize(ctx, leader); err != nil {
		return g, err
	}
	busy, err := c.keepBusy(ctx)
	if err != nil {
		return g, err
	}
	defer func() { g.busy, g.wal = busy.stop() }()
	for i := range 2 * s.Pairs {
		if err := c.turn(ctx); err != nil {
			return g, err
		}
		m := c.switches[len(c.switches)-1]
		fmt.Fprintf(s.Logger, "%s %d/%d: gap %d ms, lost %d\n", sizeWords(s.Size), i+1, 2*s.Pairs, m.report.LongestGap.Milliseconds(), len(m.audit.Lost))
	}
	g.contestant = *c
	g.switches = c.switches[from:]
	return g, nil
}

func databaseSize(ctx context.Context, url string) (bytes int64, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return bytes, conn.QueryRow(ctx, "select pg_database_size(current_database())").Scan(&bytes)
}

const (
	busyClients = 2
	busyRows    = 20_000 // of one kB each
	busyAtOnce  = 20     // rows of one transaction
	busyPause   = 5 * time.Millisecond
)

// busy are clients that update, and so write WAL all the time.
type busy struct {
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu     sync.Mutex // guards what follows
	failed int
	bytes  float64 // of WAL, by the clients' own reckoning
	begun  time.Time
}

// keepBusy starts them, through the same way as the app.
func (c *contestant) keepBusy(ctx context.Context) (*busy, error) {
	connect := func() (*pgx.Conn, error) {
		url, err := c.Source(ctx)
		if err != nil {
			return nil, err
		}
		config, err := pgx.ParseConfig(url)
		if err != nil {
			return nil, errors.New("the app's URL is none")
		}
		config.DefaultQueryExecMode = pgx.QueryExecModeExec
		return pgx.ConnectConfig(ctx, config)
	}
	setup, err := connect()
	if err != nil {
		return nil, err
	}
	defer setup.Close(context.WithoutCancel(ctx))
	for _, statement := range []string{
		"create table if not exists busy (id int primary key, body text not null) with (fillfactor = 50)",
		fmt.Sprintf("insert into busy select i, repeat(md5(i::text), 29) from generate_series(1, %d) i on conflict do nothing", busyRows),
	} {
		if _, err := setup.Exec(ctx, statement); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	b := &busy{cancel: cancel, begun: time.Now()}
	for range busyClients {
		b.all.Go(func() { b.update(ctx, connect) })
	}
	return b, nil
}

func (b *busy) update(ctx context.Context, connect func() (*pgx.Conn, error)) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	for ctx.Err() == nil {
		var err error
		if conn == nil || conn.IsClosed() {
			if conn, err = connect(); err != nil {
				conn = nil
			}
		}
		if err == nil {
			first := rand.IntN(busyRows - busyAtOnce)
			_, err = conn.Exec(ctx, "update busy set body = repeat(md5($1::text), 29) where id > $2 and id <= $3", time.Now().Format(time.RFC3339Nano), first, first+busyAtOnce)
		}
		b.mu.Lock()
		if err == nil {
			b.bytes += busyAtOnce * 1000
		} else if ctx.Err() == nil {
			b.failed++
		}
		b.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(busyPause):
		}
	}
}

// stop ends them, and tells how many of their transactions failed and how many MB
// of rows they wrote a second.
func (b *busy) stop() (failed int, perSecond float64) {
	b.cancel()
	b.all.Wait()
	return b.failed, b.bytes / 1e6 / time.Since(b.begun).Seconds()
}

func (b Benchmark) printSizes(out io.Writer, grown []grownTo, c *contestant, s Settings) error {
	line := map[string]any{"bench": b.Name, "mode": "sizes"}
	sizes := map[string]any{}
	fmt.Fprintf(out, "%s at several sizes, through a connection pool, %d clients and %d that keep the WAL busy\n\n", b.Title, s.Writers, busyClients)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "size\tbytes\trows written MB/s\tswitches\tmedian ms\tworst ms\theld, own measure ms\tfailed\tlost\t")
	var first, last figures
	failed, runs, two, worst := 0, 0, 0, 0.0
	for i, g := range grown {
		g.final = c.final
		f := g.figures()
		f.Failed += g.busy
		if i == 0 {
			first = f
		}
		last = f
		failed, runs, two, worst = failed+f.Failed, runs+f.Runs, two+f.TwoWritable, max(worst, f.Worst)
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%d\t%.1f\t%.1f\t%.1f\t%d\t%d\t\n", sizeWords(g.size), g.bytes, g.wal, f.Runs, f.Median, f.Worst, f.Claimed, f.Failed, f.Lost)
		sizes[sizeWords(g.size)] = map[string]any{"bytes": g.bytes, "rows_mb_per_s": round(g.wal), "runs": f.Runs, "median_ms": round(f.Median), "worst_ms": round(f.Worst),
			"own_ms": round(f.Claimed), "failed": f.Failed, "lost": f.Lost}
	}
	w.Flush()
	for _, g := range grown {
		fmt.Fprintf(out, "\nSteps at %s (* = the app is down)\n", sizeWords(g.size))
		g.printSteps(out)
		g.printWorst(out)
	}
	ratio := last.Median / first.Median
	fmt.Fprintf(out, "\nThe longest wait of a client at %s is %.2f times that at %s (medians; the bar is 1.5, and 1000 ms).\n\n", sizeWords(s.Sizes[len(s.Sizes)-1]), ratio, sizeWords(s.Sizes[0]))
	line["sizes"], line["runs"], line["failed"], line["lost"], line["two_writable"] = sizes, runs, failed, last.Lost, two
	line["median_ms"], line["worst_ms"], line["size_ratio"] = round(last.Median), round(worst), float64(int(ratio*1000+0.5))/1000
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", text)
	return err
}

func sizeWords(bytes int64) string {
	if bytes%(1<<30) == 0 {
		return fmt.Sprintf("%dGiB", bytes>>30)
	}
	return fmt.Sprintf("%dMiB", bytes>>20)
}
