// Package pool owns what is said to PgBouncer: its settings file and its
// console. It knows no processes and no tables; an engine runs PgBouncer, and
// the procedures say when. It must not import jobs, db or the web.
package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// AdminRole is who may use the console, over the private socket only.
const AdminRole = "changeover_admin"

// Console is one connection to PgBouncer's own console.
type Console struct {
	conn     *pgconn.PgConn
	dir      string
	port     int
	database string
}

// Open connects to the console of the PgBouncer that listens on port in the
// socket directory dir and has one database of that name.
func Open(ctx context.Context, dir string, port int, database string) (*Console, error) {
	conn, err := connect(ctx, dir, port)
	if err != nil {
		return nil, err
	}
	return &Console{conn: conn, dir: dir, port: port, database: database}, nil
}

func connect(ctx context.Context, dir string, port int) (*pgconn.PgConn, error) {
	config, err := pgconn.ParseConfig("host='" + strings.ReplaceAll(dir, "'", `\'`) + "' port=" + strconv.Itoa(port) + " user=" + AdminRole + " dbname=pgbouncer sslmode=disable connect_timeout=2 target_session_attrs=any")
	if err != nil {
		return nil, fmt.Errorf("console settings: %w", err)
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("the connection pool does not answer: %w", err)
	}
	return conn, nil
}

// Close ends the connection. A pause outlives it.
func (c *Console) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.conn.Close(ctx)
}

// ErrBusy means that transactions through the pool were still open when the
// time for the pause was over. The pool goes on as before.
var ErrBusy = errors.New("transactions through the pool did not end in time")

// Pause lets no new transaction begin and returns when none is open any more
// and every connection to the server is closed. Clients wait; nothing breaks.
// Already while it waits nobody gets through, so that after limit it is taken
// back and ErrBusy returned. A pool that is paused stays so.
func (c *Console) Pause(ctx context.Context, limit time.Duration) error {
	// Opened before, so that nobody waits for it when the pause is taken back.
	second, err := connect(ctx, c.dir, c.port)
	if err != nil {
		return err
	}
	spare := &Console{conn: second, dir: c.dir, port: c.port, database: c.database}
	defer spare.Close()
	// A pause also ends connections to the server that are being opened, and
	// PgBouncer takes each for a server that refuses, after which it would open
	// none for a whole retryAfter.
	if err := c.Set(ctx, retrySetting, retryAtOnce); err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = c.exec(asked, "PAUSE "+c.database)
	if err == nil || isAlready(err, "already suspended", "already paused", "is paused") {
		return nil
	}
	// The console's connection is lost with the answer that never came, and the
	// pause stands all the same: the second one takes it back.
	back, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer stop()
	if resumeErr := spare.Resume(back); resumeErr != nil {
		return errors.Join(err, resumeErr)
	}
	if asked.Err() != nil && !errors.Is(ctx.Err(), context.Canceled) {
		return ErrBusy
	}
	return err
}

// Resume lets waiting clients go on; a pool that is not paused goes on as it does.
func (c *Console) Resume(ctx context.Context) error {
	if err := c.exec(ctx, "RESUME "+c.database); err != nil && !isAlready(err, "not paused") {
		return err
	}
	return c.Patient(ctx) // by now the first connection is being opened
}

// Patient has a server that refuses a connection asked again only after retryAfter,
// as it is but around a pause.
func (c *Console) Patient(ctx context.Context) error {
	return c.Set(ctx, retrySetting, strconv.Itoa(retryAfter))
}

// Reload makes PgBouncer read its files again; they count when it returns.
func (c *Console) Reload(ctx context.Context) error { return c.exec(ctx, "RELOAD") }

// Reconnect has every connection to the server replaced: those in a transaction
// when it ends.
func (c *Console) Reconnect(ctx context.Context) error { return c.exec(ctx, "RECONNECT "+c.database) }

// Set changes one setting at once, without the files.
func (c *Console) Set(ctx context.Context, name, value string) error {
	return c.exec(ctx, fmt.Sprintf("SET %s = '%s'", name, value))
}

// Answers is nil while PgBouncer answers, whatever it leads to.
func (c *Console) Answers(ctx context.Context) error { return c.exec(ctx, "SHOW VERSION") }

// Paused is whether clients are made to wait.
func (c *Console) Paused(ctx context.Context) (bool, error) {
	row, err := c.databaseRow(ctx)
	return row["paused"] == "1", err
}

func (c *Console) databaseRow(ctx context.Context) (map[string]string, error) {
	rows, err := c.show(ctx, "SHOW DATABASES")
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r["name"] == c.database {
			return r, nil
		}
	}
	return nil, fmt.Errorf("the connection pool has no database %s", c.database)
}

// Use is what goes on in a pool at one moment.
type Use struct {
	ClientsActive  int           // in a transaction, or idle
	ClientsWaiting int           // for a connection to the server
	ServersActive  int           // connections to the server in a transaction
	ServersIdle    int           // the others
	LongestWait    time.Duration // of the client that waits longest now
	Paused         bool
	Size           int // connections to the server at most
	// Transactions is how many there were since the PgBouncer started, and
	// WaitTime how long their clients waited for a connection in all.
	Transactions int64
	WaitTime     time.Duration
}

// Read is what goes on now.
func (c *Console) Read(ctx context.Context) (Use, error) {
	var u Use
	rows, err := c.show(ctx, "SHOW POOLS")
	if err != nil {
		return u, err
	}
	for _, r := range rows {
		if r["database"] != c.database {
			continue
		}
		u.ClientsActive += number(r["cl_active"])
		u.ClientsWaiting += number(r["cl_waiting"])
		u.ServersActive += number(r["sv_active"])
		u.ServersIdle += number(r["sv_idle"]) + number(r["sv_used"]) + number(r["sv_tested"]) + number(r["sv_login"])
		wait := time.Duration(number(r["maxwait"]))*time.Second + time.Duration(number(r["maxwait_us"]))*time.Microsecond
		u.LongestWait = max(u.LongestWait, wait)
	}
	row, err := c.databaseRow(ctx)
	if err != nil {
		return u, err
	}
	u.Paused, u.Size = row["paused"] == "1", number(row["pool_size"])
	if rows, err = c.show(ctx, "SHOW STATS"); err != nil {
		return u, err
	}
	for _, r := range rows {
		if r["database"] == c.database {
			u.Transactions = int64(number(r["total_xact_count"]))
			u.WaitTime = time.Duration(number(r["total_wait_time"])) * time.Microsecond
		}
	}
	return u, nil
}

// Backends are the process ids, on the server, of the connections that are in a
// transaction now.
func (c *Console) Backends(ctx context.Context) ([]int32, error) {
	rows, err := c.show(ctx, "SHOW SERVERS")
	if err != nil {
		return nil, err
	}
	var pids []int32
	for _, r := range rows {
		if pid := number(r["remote_pid"]); r["database"] == c.database && r["state"] == "active" && pid > 0 {
			pids = append(pids, int32(pid))
		}
	}
	slices.Sort(pids)
	return pids, nil
}

func (c *Console) exec(ctx context.Context, command string) error {
	if _, err := c.conn.Exec(ctx, command).ReadAll(); err != nil {
		return fmt.Errorf("%s on the connection pool: %w", strings.Fields(command)[0], err)
	}
	return nil
}

// show is the rows of a SHOW command by the names of their columns.
func (c *Console) show(ctx context.Context, command string) ([]map[string]string, error) {
	results, err := c.conn.Exec(ctx, command).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	var rows []map[string]string
	for _, result := range results {
		for _, values := range result.Rows {
			row := make(map[string]string, len(values))
			for i, v := range values {
				row[result.FieldDescriptions[i].Name] = string(v)
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// isAlready is whether the console refused because things are that way already.
func isAlready(err error, words ...string) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(refused.Message, w) })
}
