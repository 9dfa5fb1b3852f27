// Package dbtest gives tests a control database of their own: a real
// PostgreSQL, migrated once a process and copied for each test. Only tests may
// import it.
package dbtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/internal/db"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// shared is the process's one server, started by the first test that asks. It
// is the one global here: tests have no main to hold it.
var shared = sync.OnceValues(startShared)

var databaseNumber atomic.Int64

// server is where the databases of the tests are made.
type server struct {
	adminURL string // of a database in which others can be made
	template string // name of the migrated database; tests get copies of it
}

// New is a pool on a migrated database that only this test sees. Both are gone
// when the test ends.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return Open(t, URL(t))
}

// Open is a pool on url, closed when the test ends.
func Open(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := db.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// URL is the address of a migrated database that only this test sees, for a
// program that connects by itself. It is dropped when the test ends.
func URL(t testing.TB) string {
	t.Helper()
	s := start(t)
	return s.makeDatabase(t, s.template)
}

// EmptyURL is URL for a database with nothing in it, not even a schema.
func EmptyURL(t testing.TB) string {
	t.Helper()
	return start(t).makeDatabase(t, "template0")
}

func start(t testing.TB) *server {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatalf("no PostgreSQL for the tests: %v", err)
	}
	return s
}

func startShared() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	s := &server{adminURL: os.Getenv("DATABASE_URL_TEST")}
	if s.adminURL == "" {
		var err error
		if s.adminURL, err = startThrowAway(ctx); err != nil {
			return nil, err
		}
	}
	return s, s.makeTemplate(ctx)
}

// makeTemplate migrates one database for all copies. Its name says which
// migrations are in it, so that processes on a shared server share it too.
func (s *server) makeTemplate(ctx context.Context) error {
	list, err := db.Migrations()
	if err != nil {
		return err
	}
	sum := sha256.New()
	for _, m := range list {
		fmt.Fprintf(sum, "%d %s\n%s\n", m.Version, m.Name, m.SQL)
	}
	s.template = "changeover_template_" + hex.EncodeToString(sum.Sum(nil))[:12]
	admin, err := pgx.Connect(ctx, s.adminURL)
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close(ctx) }()
	// Held until the connection closes: of several processes one migrates.
	if _, err := admin.Exec(ctx, `select pg_advisory_lock(hashtext($1))`, s.template); err != nil {
		return err
	}
	var done bool
	if err := admin.QueryRow(ctx, `select exists (select from pg_database where datname = $1)`, s.template).Scan(&done); err != nil || done {
		return err
	}
	making := s.template + "_making"
	for _, sql := range []string{`drop database if exists ` + making, `create database ` + making + ` template template0`} {
		if _, err := admin.Exec(ctx, sql); err != nil {
			return err
		}
	}
	pool, err := db.Open(ctx, s.urlOf(making))
	if err != nil {
		return err
	}
	err = db.Migrate(ctx, pool)
	pool.Close()
	if err != nil {
		return err
	}
	// The name is given last: a database of that name is complete.
	_, err = admin.Exec(ctx, `alter database `+making+` rename to `+s.template)
	return err
}

// makeDatabase makes a copy of a template for one test and returns its URL.
func (s *server) makeDatabase(t testing.TB, template string) string {
	t.Helper()
	ctx := t.Context()
	name := fmt.Sprintf("changeover_test_%d_%d", os.Getpid(), databaseNumber.Add(1))
	admin, err := pgx.Connect(ctx, s.adminURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(ctx) }()
	if _, err := admin.Exec(ctx, `create database `+name+` template `+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.dropDatabase(t, name) })
	return s.urlOf(name)
}

func (s *server) dropDatabase(t testing.TB, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	admin, err := pgx.Connect(ctx, s.adminURL)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = admin.Close(ctx) }()
	if _, err := admin.Exec(ctx, `drop database `+name+` with (force)`); err != nil {
		t.Error(err)
	}
}

// urlOf is the admin's URL with another database.
func (s *server) urlOf(database string) string {
	u, err := url.Parse(s.adminURL)
	if err != nil { // pgx has read it already
		panic("DATABASE_URL_TEST is not a URL")
	}
	u.Path = "/" + database
	return u.String()
}
