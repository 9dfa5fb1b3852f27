package db_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
)

func TestSealOpensOnlyWithItsKeyAndContext(t *testing.T) {
	s := dbtest.Sealer(t)
	sealed := s.Seal("wasabi", "config_var:1:SPICE")
	if bytes.Contains(sealed, []byte("wasabi")) {
		t.Error("the plaintext is visible")
	}
	if bytes.Equal(sealed, s.Seal("wasabi", "config_var:1:SPICE")) {
		t.Error("sealing twice gives the same bytes")
	}
	if got := must(s.Open(sealed, "config_var:1:SPICE"))(t); got != "wasabi" {
		t.Errorf("opened %q", got)
	}
	if got := must(s.Open(s.Seal("", "x"), "x"))(t); got != "" {
		t.Errorf("empty opened as %q", got)
	}
	other, err := db.NewSealer(bytes.Repeat([]byte{8}, 32))
	noError(t, err)
	_, err = other.Open(sealed, "config_var:1:SPICE")
	wantSentence(t, err, platform.KindUnavailable, "", "sealed with another key")
	_, err = s.Open(sealed, "config_var:2:SPICE")
	wantSentence(t, err, platform.KindUnavailable, "", "sealed with another key")
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := s.Open(changed, "config_var:1:SPICE"); err == nil {
			t.Fatalf("byte %d changed and it opened", i)
		}
		if _, err := s.Open(sealed[:i], "config_var:1:SPICE"); err == nil {
			t.Fatalf("cut to %d bytes and it opened", i)
		}
	}
}

func TestKeyFileIsMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	sealers := make([]*db.Sealer, 8)
	var running sync.WaitGroup
	for i := range sealers {
		running.Go(func() { sealers[i], _ = db.LoadSealer(path) })
	}
	running.Wait()
	sealed := sealers[0].Seal("wasabi", "x")
	for i, s := range sealers {
		if s == nil {
			t.Fatalf("loader %d failed", i)
		}
		if got, err := s.Open(sealed, "x"); err != nil || got != "wasabi" {
			t.Errorf("loader %d has another key: %v", i, err)
		}
	}
	info, err := os.Stat(path)
	noError(t, err)
	if info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Errorf("mode %v, %d bytes", info.Mode(), info.Size())
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files are left beside the key", len(entries)-1)
	}
}

func TestKeyFileThatIsNoKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	noError(t, os.WriteFile(path, []byte("short"), 0o600))
	_, err := db.LoadSealer(path)
	wantSentence(t, err, platform.KindUnavailable, "", "must be exactly 32 bytes")
	noError(t, os.WriteFile(path, make([]byte, 32), 0o600))
	noError(t, os.Chmod(path, 0o644))
	_, err = db.LoadSealer(path)
	wantSentence(t, err, platform.KindForbidden, "", "chmod 600")
	_, err = db.LoadSealer(filepath.Join(dir, "missing", "key"))
	wantSentence(t, err, platform.KindUnavailable, "", "could not be made")
}

func TestWrongKeyIsFoundAtStart(t *testing.T) {
	pool := dbtest.New(t)
	other, err := db.NewSealer(bytes.Repeat([]byte{8}, 32))
	noError(t, err)
	noError(t, db.CheckSealer(t.Context(), pool, other)) // nothing is sealed yet
	dbtest.Database(t, pool, dbtest.App(t, pool, "sushi").ID, 20000)
	noError(t, db.CheckSealer(t.Context(), pool, dbtest.Sealer(t)))
	wantSentence(t, db.CheckSealer(t.Context(), pool, other), platform.KindUnavailable, "", "Put back the key file")
}

// No table holds a secret in the clear, whatever its column.
func TestSecretsAreInNoTable(t *testing.T) {
	pool := dbtest.New(t)
	ctx := t.Context()
	s := dbtest.Sealer(t)
	u := dbtest.User(t, pool, "chef@example.com")
	app := dbtest.App(t, pool, "sushi")
	d := dbtest.Database(t, pool, app.ID, 20000)
	password := must(db.DatabasePassword(ctx, pool, s, d.ID))(t)
	session, _, err := db.CreateSession(ctx, pool, u.ID, "", "")
	noError(t, err)
	token, _, err := db.CreateAPIToken(ctx, pool, u.ID, "ci", 0)
	noError(t, err)
	link := must(db.CreateSignInLink(ctx, pool, u.ID, 1e9))(t)
	setVar(t, pool, app.ID, "SPICE", "very-secret-wasabi")

	rows, err := pool.Query(ctx, `select table_name::text from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`)
	noError(t, err)
	var tables []string
	for rows.Next() {
		var name string
		noError(t, rows.Scan(&name))
		tables = append(tables, name)
	}
	if len(tables) < 20 {
		t.Fatalf("only %d tables found", len(tables))
	}
	conn := must(pool.Acquire(ctx))(t)
	defer conn.Release()
	// escape shows those bytes of a bytea that are letters as letters.
	_, err = conn.Exec(ctx, "set bytea_output = escape")
	noError(t, err)
	for _, table := range tables {
		var text string
		noError(t, conn.QueryRow(ctx, `select coalesce(string_agg(t::text, ' '), '') from `+table+` t`).Scan(&text))
		for _, secret := range []string{password, session, token, link, "very-secret-wasabi"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds a secret in the clear", table)
			}
		}
	}
}
