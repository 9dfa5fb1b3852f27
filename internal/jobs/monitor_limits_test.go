package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/jobs"
	"changeover/internal/platform"
	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// An Essential database is told of before it is full, refuses to grow when it
// is, and takes every write again when there is room; its neighbour never notices.
func TestStorageOfAnEssentialDatabaseIsKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	d, neighbour := h.leader("essential-0"), h.leader("essential-1")
	clock := h.watchLimits(30 << 20)
	awaitFull := func(want bool) {
		t.Helper()
		platformtest.Await(t, "full or not", func() (bool, error) { return (h.database(d.ID).FullAt != nil) == want, nil })
	}
	subjects := func() (list []string) {
		t.Helper()
		notices, err := db.ListNotices(t.Context(), h.pool, 0, platform.Everything(), db.NoticeFilter{DatabaseID: d.ID})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range notices {
			if n.OperationID == nil {
				list = append(list, n.Subject)
			}
		}
		return list
	}
	awaitSubject := func(want string) {
		t.Helper()
		platformtest.Await(t, want, func() (bool, error) { return len(subjects()) > 0 && strings.HasPrefix(subjects()[0], want), nil })
	}
	do := func(sql string) error {
		conn, err := pgx.Connect(t.Context(), h.urlOf(d.ID))
		if err != nil {
			return err // a session can be ended while it begins
		}
		defer conn.Close(t.Context())
		_, err = conn.Exec(t.Context(), sql)
		return err
	}
	must := func(statements ...string) {
		t.Helper()
		for _, sql := range statements {
			if err := do(sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}

	must(`create table pile (text text)`)
	must(`insert into pile select repeat(md5(n::text), 60) from generate_series(1, 9000) n`)
	awaitSubject("Storage of " + d.Name + ": ")
	if list := subjects(); len(list) != 1 || !strings.HasSuffix(list[0], "80 % used") {
		t.Fatalf("notices: %q", list)
	}
	h.fill(d, do)
	awaitFull(true)
	awaitSubject("Full: " + d.Name)
	if list := subjects(); len(list) < 3 || !strings.HasSuffix(list[1], "100 % used") {
		t.Errorf("notices: %q", list)
	}
	if err := do(`insert into pile values ('one more')`); err == nil || !strings.Contains(err.Error(), "storage of its plan") {
		t.Errorf("a write to a full database: %v", err)
	}
	other := h.appOf(neighbour)
	exec(t, other, `create table pile as select 1`)

	// The cluster is killed: what refuses is in the database and comes back with it.
	h.crash(d)
	if err := do(`update pile set text = ''`); err == nil {
		t.Error("after a crash it grows")
	}
	// Its databases are told of together, once, with how long it was down.
	for _, of := range []platform.Database{d, neighbour} {
		told := func() []db.Notice { return h.noticesOf(of, platform.NoticeServerRestarted) }
		platformtest.Await(t, "a notice of the restart", func() (bool, error) { return len(told()) > 0, nil })
		if list := told(); len(list) != 1 || list[0].Level != platform.NoticeWarn || list[0].Subject != "Restarted: 2 databases of sushi" || len(list[0].Figures) != 2 || !strings.Contains(list[0].Body, of.Name+" of sushi, after ") {
			t.Errorf("%d notices of one restart of %s: %+v", len(list), of.Name, list)
		}
	}
	must(`delete from pile`)
	must(`vacuum full pile`)
	awaitFull(false)
	awaitSubject("No longer full: " + d.Name)
	must(`insert into pile values ('one more')`)
	must(`create table again (n int)`)

	// Connections: told once, and anew only an hour after.
	var open []*pgx.Conn
	for range 18 {
		open = append(open, h.appOf(d))
	}
	awaitSubject("Connections of " + d.Name + ": 90 % used")
	_ = open[0].Close(t.Context())
	awaitTold := func(want int) {
		t.Helper()
		platformtest.Await(t, "what was told", func() (bool, error) {
			told, err := db.LimitsToldOf(t.Context(), h.pool, d.ID)
			return told.ConnectionsTold == want, err
		})
	}
	for _, conn := range open {
		_ = conn.Close(t.Context())
	}
	awaitTold(90)
	clock.Store(int64(61 * time.Minute))
	awaitTold(0)
	for range 16 {
		h.appOf(d)
	}
	awaitSubject("Connections of " + d.Name + ": 80 % used")
}

func (h *house) noticesOf(d platform.Database, kind platform.NoticeKind) []db.Notice {
	h.t.Helper()
	list, err := db.ListNotices(h.t.Context(), h.pool, 0, platform.Everything(), db.NoticeFilter{DatabaseID: d.ID, Kind: kind})
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// fill writes until the database takes no more. The write that makes it full is
// accepted, ended with its session, or refused: that depends on when the monitor
// looks. One that is ended leaves too little behind for autovacuum to give it back.
func (h *house) fill(d platform.Database, do func(sql string) error) {
	h.t.Helper()
	var last error
	platformtest.Await(h.t, "a full database", func() (bool, error) {
		last = do(`insert into pile select repeat(md5(n::text), 60) from generate_series(1, 200) n`)
		return last != nil || h.database(d.ID).FullAt != nil, nil
	})
	var refused *pgconn.PgError
	if last != nil && !(errors.As(last, &refused) && (refused.Code == "57P01" || strings.Contains(refused.Message, "storage of its plan"))) {
		h.t.Fatalf("the write that made it full: %v", last)
	}
}

// watchLimits runs a monitor for which essential-0 holds so many bytes; its
// clock is as much ahead as the number says, in nanoseconds.
func (h *house) watchLimits(bytes int64) *clockAhead {
	h.t.Helper()
	catalogue, err := platform.ShippedCatalogue()
	if err != nil {
		h.t.Fatal(err)
	}
	for i, p := range catalogue.Plans {
		if p.Name == "essential-0" {
			catalogue.Plans[i].StorageBytes = bytes
		}
	}
	clock := &clockAhead{}
	m := jobs.NewMonitor(jobs.MonitorConfig{Pool: h.pool, Engine: h.engine, Catalogue: catalogue, FactsEvery: 100 * time.Millisecond, Now: clock.now,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError + 4}))})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { m.Run(ctx); close(ended) }()
	h.t.Cleanup(func() { cancel(); <-ended })
	return clock
}

// appOf is a connection as the database's app.
func (h *house) appOf(d platform.Database) *pgx.Conn {
	h.t.Helper()
	conn, err := pgx.Connect(h.t.Context(), h.urlOf(d.ID))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// clockAhead is a clock that can be set ahead.
type clockAhead struct{ atomic.Int64 }

func (c *clockAhead) now() time.Time { return time.Now().Add(time.Duration(c.Load())) }

// crash kills the server that the database is in, and returns when it runs again.
func (h *house) crash(d platform.Database) {
	h.t.Helper()
	server := h.serverOf(d)
	status, err := h.engine.Status(h.t.Context(), server)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := syscall.Kill(status.PID, syscall.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
	platformtest.Await(h.t, "the server's return", func() (bool, error) {
		conn, err := pgx.ConnectConfig(h.t.Context(), h.engine.Admin(server, "postgres"))
		if err != nil {
			return false, nil
		}
		defer conn.Close(h.t.Context())
		now, err := h.engine.Status(h.t.Context(), server)
		return now.PID != status.PID, err
	})
}
