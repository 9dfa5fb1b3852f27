package switching

import (
	"context"
	"fmt"
	"time"

	"changeover/bench/ledger"

	"github.com/jackc/pgx/v5"
)

// settled is how many commits every writer has to get through before a switch
// begins, and after it before it counts as over.
const settled = 50

// fill makes the data that the database holds beside the ledger: rows of about
// one kB, too short to be compressed, until the database has size bytes.
func fill(ctx context.Context, url string, size int64) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("fill the leader: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var from int64
	if _, err = conn.Exec(ctx, "create table if not exists filler (id bigint primary key, body text not null)"); err == nil {
		err = conn.QueryRow(ctx, "select coalesce(max(id) + 1, 0) from filler").Scan(&from)
	}
	for err == nil {
		var now int64
		if err = conn.QueryRow(ctx, "select pg_database_size(current_database())").Scan(&now); err != nil || now >= size {
			break
		}
		rows := min((size-now)/1000+1, 100_000)
		_, err = conn.Exec(ctx, `
			insert into filler select i, repeat(md5(i::text), 29) from generate_series($1::bigint, $2::bigint) i`, from, from+rows-1)
		from += rows
	}
	if err == nil {
		_, err = conn.Exec(ctx, "vacuum analyze filler")
	}
	if err != nil {
		return fmt.Errorf("fill the leader: %w", err)
	}
	return nil
}

// begin fills the leader and starts the writers, who rest until their turn.
func (b Benchmark) begin(ctx context.Context, s Side, settings Settings) (*contestant, error) {
	leader, _ := s.URLs()
	if err := fill(ctx, leader, settings.Size); err != nil {
		return nil, err
	}
	if err := ledger.Setup(ctx, leader); err != nil {
		return nil, err
	}
	c := &contestant{Side: s, writers: ledger.Start(ctx, s.Source, settings.Writers, ledger.Options{Pooled: b.Pooled}), pooled: b.Pooled}
	if err := c.wait(ctx); err != nil {
		return nil, err
	}
	c.writers.Pause()
	return c, nil
}

// turn is one switch: the new server is made and put in place while the
// writers are at work, and then every acknowledged commit so far is looked up.
func (c *contestant) turn(ctx context.Context) error {
	c.writers.Resume()
	defer c.writers.Pause()
	if err := c.Prepare(ctx); err != nil {
		return fmt.Errorf("%s: prepare: %w", c.Name(), err)
	}
	oldURL, newURL := c.URLs()
	if err := c.wait(ctx); err != nil {
		return err
	}
	watch := ledger.WatchBoth(ctx, oldURL, newURL, 0)
	from := time.Now()
	outcome, err := c.Switch(ctx)
	total := time.Since(from)
	if err != nil {
		watch.Stop()
		return fmt.Errorf("%s: switch: %w", c.Name(), err)
	}
	if err := c.wait(ctx); err != nil {
		return err
	}
	m := measured{moments: watch.Stop(), report: c.writers.Between(from, time.Now()), outcome: outcome, total: total}
	m.gap = c.writers.GapOf(m.report)
	if m.moments.OldAccepted == 0 || m.moments.NewAccepted == 0 {
		return fmt.Errorf("%s: the watch on both servers proves nothing: %+v", c.Name(), m.moments)
	}
	if m.audit, err = c.writers.Verify(ctx, newURL); err != nil {
		return fmt.Errorf("%s: %w", c.Name(), err)
	}
	c.switches = append(c.switches, m)
	return nil
}

// end stops the writers and looks everything up for the last time.
func (c *contestant) end(ctx context.Context) error {
	c.writers.Resume()
	report := c.writers.Stop()
	url, err := c.Source(ctx)
	if err != nil {
		return err
	}
	c.final, err = c.writers.Verify(ctx, url)
	if err == nil && c.final.Acked != report.Acked {
		err = fmt.Errorf("%s: %d commits were acknowledged and %d looked for", c.Name(), report.Acked, c.final.Acked)
	}
	return err
}

// wait returns when every writer writes.
func (c *contestant) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.writers.WaitForCommits(ctx, settled); err != nil {
		return fmt.Errorf("%s: the writers do not get through: %w", c.Name(), err)
	}
	return nil
}
