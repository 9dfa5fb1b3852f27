package platformtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Connect is a connection as the app; it is closed when the test ends.
func (s *Server) Connect(t testing.TB) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, config)
}

// ConnectAdmin is a connection as superuser into database, by default the app's.
func (s *Server) ConnectAdmin(t testing.TB, database ...string) *pgx.Conn {
	t.Helper()
	name := s.DatabaseName
	if len(database) > 0 {
		name = database[0]
	}
	config := s.platform.Admin(s.Server, name)
	config.RuntimeParams["search_path"] = "public" // the program's own finds only what is in pg_catalog
	return connect(t, config)
}

func connect(t testing.TB, config *pgx.ConnConfig) *pgx.Conn {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // its server may be gone, as the test wants it
	})
	return conn
}

// AwaitStreaming returns when s streams from leader and has replayed what
// leader had written when it was called.
func (s *Server) AwaitStreaming(t testing.TB, leader *Server) {
	t.Helper()
	admin := leader.ConnectAdmin(t, "postgres")
	var end string
	// Forces the flush: without it the end lacks asynchronous commits (safety 2).
	if err := admin.QueryRow(t.Context(), "select pg_logical_emit_message(true, 'test', 'streaming')::text").Scan(&end); err != nil {
		t.Fatal(err)
	}
	Await(t, "the follower's stream", func() (bool, error) {
		var streams bool
		err := admin.QueryRow(t.Context(), `select exists (select from pg_stat_replication
			where application_name = $1 and state = 'streaming' and replay_lsn >= $2::pg_lsn)`, SlotName(s.ID), end).Scan(&streams)
		return streams, err
	})
}

// Await asks until it is so, at most 60 s.
func Await(t testing.TB, what string, isSo func() (bool, error)) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		so, err := isSo()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if so {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come within a minute", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Query is the one text that a query answers.
func Query(t testing.TB, conn *pgx.Conn, sql string, args ...any) string {
	t.Helper()
	var text string
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", strings.TrimSpace(sql), err)
	}
	return text
}
