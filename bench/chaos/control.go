package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// control is the trial's own look into the control database, over one
// connection that is opened again when it is gone.
type control struct {
	address string

	mu   sync.Mutex
	conn *pgx.Conn
}

func newControl(home string) (*control, error) {
	return &control{address: fmt.Sprintf("host=%s port=5432 user=changeover dbname=changeover sslmode=disable", filepath.Join(home, "sock"))}, nil
}

func (c *control) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
}

func (c *control) drop() {
	if c.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = c.conn.Close(ctx)
	c.conn = nil
}

// ask runs fn with a connection, for two seconds at most.
func (c *control) ask(ctx context.Context, fn func(context.Context, *pgx.Conn) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if c.conn == nil || c.conn.IsClosed() {
		conn, err := pgx.Connect(ctx, c.address)
		if err != nil {
			return err
		}
		c.conn = conn
	}
	err := fn(ctx, c.conn)
	if err != nil {
		c.drop()
	}
	return err
}

// look is an operation as the control database has it.
type look struct {
	ID           int64
	Kind         string
	State        string
	Reason       string
	NeedsPerson  bool
	Epoch        int64
	PassedReturn bool
	Held         bool // some runner has its lock
	Sleeps       bool // it waits for a time that has not come, so nobody need have it
	Steps        string
}

func (l look) open() bool { return l.State == "running" || l.State == "undoing" }

// operation looks at one.
func (c *control) operation(ctx context.Context, id int64) (l look, err error) {
	err = c.ask(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `
			select o.id, o.kind, o.state, o.reason, o.needs_person, o.epoch, o.no_return_at is not null as passed_return,
				exists (select from pg_locks l where l.locktype = 'advisory' and l.classid = 25448 and l.objid = o.id::oid and l.granted) as held,
				exists (select from river_job r where r.kind = 'operation' and (r.args ->> 'operation_id')::bigint = o.id
					and r.state in ('scheduled', 'retryable', 'available') and r.scheduled_at > now()) as sleeps,
				(select string_agg(s.name || ' ' || s.state || ' ' || s.detail, '; ' order by s.position) from operation_steps s
					where s.operation_id = o.id and s.state <> 'pending') as steps
			from operations o where o.id = $1`, id)
		if err != nil {
			return err
		}
		l, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[look])
		return err
	})
	return l, err
}

// open are the ids of all operations that have not ended.
func (c *control) open(ctx context.Context) (ids []int64, err error) {
	err = c.ask(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `select id from operations where state in ('running', 'undoing') order by id`)
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	return ids, err
}

// server is one that is there.
type server struct {
	ID, Port int64
	Database string
	Own      bool // it is the one its database has now
	Follows  bool
	Fenced   bool
}

func (c *control) servers(ctx context.Context) (list []server, err error) {
	err = c.ask(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `
			select s.id, s.port, d.name as database, d.server_id is not distinct from s.id as own, d.following_id is not null as follows, s.fenced
			from servers s join databases d on d.id = s.database_id where s.destroyed_at is null order by s.id`)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByName[server])
		return err
	})
	return list, err
}

// dump is everything that may say why an operation does not go on.
func (c *control) dump(ctx context.Context) string {
	text := ""
	for _, q := range []string{
		`select * from operations order by id desc limit 3`,
		`select id, state, attempt, scheduled_at, attempted_at, attempted_by, args from river_job where kind = 'operation' order by id desc limit 8`,
		`select * from river_leader`, `select name, paused_at, updated_at from river_queue`,
		`select pid, application_name, state, wait_event_type, wait_event, now() - state_change as since, left(query, 90) as query from pg_stat_activity where datname = 'changeover'`,
		`select pid, locktype, mode, granted, classid, objid from pg_locks where not granted or locktype = 'advisory'`,
	} {
		err := c.ask(ctx, func(ctx context.Context, conn *pgx.Conn) error {
			rows, err := conn.Query(ctx, `select row_to_json(t)::text from (`+q+`) t`)
			if err != nil {
				return err
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			text += q + "\n"
			for _, line := range lines {
				text += "  " + line + "\n"
			}
			return err
		})
		if err != nil {
			text += q + ": " + err.Error() + "\n"
		}
	}
	return text
}
