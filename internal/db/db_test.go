package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// inTx is what most tests do with a function that needs a transaction.
func inTx[T any](t *testing.T, pool *pgxpool.Pool, fn func(tx pgx.Tx) (T, error)) (T, error) {
	t.Helper()
	var v T
	err := db.InTx(t.Context(), pool, func(tx pgx.Tx) (err error) {
		v, err = fn(tx)
		return err
	})
	return v, err
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantSentence checks what a person would read, and where.
func wantSentence(t *testing.T, err error, kind platform.Kind, field, part string) {
	t.Helper()
	var e *platform.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a platform.Error", err)
	}
	if e.Kind != kind || e.Field != field || !strings.Contains(e.Message, part) {
		t.Errorf("got kind %d, field %q, %q; want kind %d, field %q, …%s…", e.Kind, e.Field, e.Message, kind, field, part)
	}
}

func TestOpenSaysWhatIsWrongWithTheAddress(t *testing.T) {
	_, err := db.Open(t.Context(), "postgres://u:hunter2@host:notaport/x")
	wantSentence(t, err, platform.KindInvalid, "DATABASE_URL", "not a PostgreSQL URL")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the password is in the error: %v", err)
	}
	// Port 1 on loopback: nobody listens, the answer is immediate.
	_, err = db.Open(t.Context(), "postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable")
	wantSentence(t, err, platform.KindUnavailable, "", "The control database does not answer")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the password is in the error: %v", err)
	}
}

func TestConnectionsHaveTheirLimits(t *testing.T) {
	pool := dbtest.New(t)
	for name, want := range map[string]string{
		"application_name": "changeover", "statement_timeout": "30s", "timezone": "UTC",
		"idle_in_transaction_session_timeout": "1min",
	} {
		var got string
		noError(t, pool.QueryRow(t.Context(), "select current_setting($1)", name).Scan(&got))
		if got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
}

func TestLostConnectionIsUnavailable(t *testing.T) {
	pool := dbtest.New(t)
	err := db.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "select pg_terminate_backend(pg_backend_pid())")
		return err
	})
	wantSentence(t, err, platform.KindUnavailable, "", "The control database does not answer")
	pool.Close()
	wantSentence(t, db.Ping(t.Context(), pool), platform.KindUnavailable, "", "The control database does not answer")
	for what, ask := range map[string]func() error{
		"one": func() error { _, err := db.AppByName(t.Context(), pool, "sushi"); return err },
		"many": func() error {
			_, err := db.ListDatabases(t.Context(), pool, platform.Everything(), db.DatabaseFilter{})
			return err
		},
		"operation":  func() error { _, err := db.OperationByID(t.Context(), pool, 1); return err },
		"steps":      func() error { _, err := db.OperationSteps(t.Context(), pool, 1); return err },
		"changeover": func() error { _, err := db.ChangeoverOf(t.Context(), pool, 1); return err },
		"write":      func() error { return db.SetMaintenance(t.Context(), pool, 1, true) },
	} {
		if err := ask(); platform.KindOf(err) != platform.KindUnavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestSlowQuestionIsUnavailable(t *testing.T) {
	pool := dbtest.New(t)
	err := db.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "set local statement_timeout = '5ms'; select pg_sleep(5)")
		return err
	})
	wantSentence(t, err, platform.KindUnavailable, "", "was stopped")
}

func TestCancelledRequestIsNotTheDatabasesFault(t *testing.T) {
	pool := dbtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := db.Ping(ctx, pool)
	if !errors.Is(err, context.Canceled) || platform.KindOf(err) != platform.KindInternal {
		t.Errorf("got %v, want the plain cancellation", err)
	}
}

func TestInTxRollsBack(t *testing.T) {
	pool := dbtest.New(t)
	stop := errors.New("stop")
	err := db.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		dbtest.App(t, tx, "sushi")
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	_, err = db.AppByName(t.Context(), pool, "sushi")
	wantSentence(t, err, platform.KindNotFound, "", "There is no app sushi")
}

func TestListenHearsWhatIsCommitted(t *testing.T) {
	pool := dbtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	ready, heard, done := make(chan struct{}), make(chan string, 10), make(chan error, 1)
	go func() {
		done <- db.Listen(ctx, pool, func() { close(ready) }, func(p string) { heard <- p })
	}()
	<-ready
	_ = db.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		noError(t, db.Notify(t.Context(), tx, "rolled back"))
		return errors.New("rolled back")
	})
	noError(t, db.Notify(t.Context(), pool, db.LiveDatabase(7), db.LiveRail))
	if a, b := <-heard, <-heard; a != "database:7" || b != "rail" {
		t.Errorf("heard %q, %q", a, b)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}
