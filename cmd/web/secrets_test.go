package main

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changeover/internal/platform/engine/local"

	"github.com/jackc/pgx/v5"
)

// wantNoSecret looks for secrets where they must not be: in every table of the
// control database (River's, too), in the program's output, in the command line
// of every process.
func (p *running) wantNoSecret(secrets map[string]string) {
	p.t.Helper()
	engine, err := local.Open(local.Config{Home: p.home})
	if err != nil {
		p.t.Fatal(err)
	}
	conn, err := pgx.Connect(p.t.Context(), engine.ControlString())
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = conn.Close(p.t.Context()) }()
	wantNoSecretIn(p.t, conn, p.logs.String(), secrets)
}

// wantSecretNowhere is wantNoSecret for a site.
func (s *site) wantSecretNowhere(t *testing.T, secrets map[string]string) {
	t.Helper()
	conn, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	wantNoSecretIn(t, conn.Conn(), s.logs.String(), secrets)
}

func wantNoSecretIn(t *testing.T, conn *pgx.Conn, logs string, secrets map[string]string) {
	t.Helper()
	rows, err := conn.Query(t.Context(), `select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 20 {
		t.Fatalf("%d tables (%v)", len(tables), err)
	}
	commands := commandLines(t)
	for what, secret := range secrets {
		if len(secret) < 10 {
			t.Fatalf("the secret %s is %q", what, secret)
		}
		for _, table := range tables {
			var found int
			err := conn.QueryRow(t.Context(), `select count(*) from `+table+` t where t::text ilike any ($1)`,
				[]string{"%" + secret + "%", "%" + hex.EncodeToString([]byte(secret)) + "%"}).Scan(&found)
			if err != nil {
				t.Fatal(err)
			}
			if found > 0 {
				t.Errorf("%s is in the table %s", what, table)
			}
		}
		if strings.Contains(logs, secret) {
			t.Errorf("%s is in the log", what)
		}
		if strings.Contains(commands, secret) {
			t.Errorf("%s is in a command line", what)
		}
	}
}

// commandLines is the command lines of all processes; nothing where /proc does
// not tell.
func commandLines(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended
		}
		all.Write(text)
		all.WriteByte('\n')
	}
	return all.String()
}
