package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/engine/local"
)

// The embedded control database has an owner, who migrates, and a role for the
// running program, also where the cluster was made before there was one.
func TestEmbeddedControlKeepsTheAudit(t *testing.T) {
	if testing.Short() {
		t.Skip("Making a cluster takes seconds; it is left out with -short.")
	}
	home := newHome(t)
	engine, err := local.Open(local.Config{Home: home, Logger: slog.New(slog.DiscardHandler)})
	noErr(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := engine.StopAll(ctx); err != nil {
			t.Error(err)
		}
	})
	logs := &logBuffer{}
	for _, when := range []string{"made", "made before there was the role"} {
		pool, err := openControlPool(t.Context(), config{Home: home}, engine, slog.New(slog.NewTextHandler(logs, nil)))
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		role, owns, err := db.OwnsAudit(t.Context(), pool)
		if err != nil || owns || role != "changeover_program" {
			t.Errorf("%s: the pool is %s, owns %v (%v)", when, role, owns, err)
		}
		noErr(t, db.AddAudit(t.Context(), pool, db.AuditEntry{Actor: "x", Action: "x", Outcome: db.AuditDone}))
		for _, sql := range []string{`update audit set actor = 'y'`, `delete from audit`, `truncate audit`, `alter table audit disable trigger all`, `set role changeover`} {
			if _, err := pool.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "42501") {
				t.Errorf("%s, %s: %v", when, sql, err)
			}
		}
		pool.Close()
		// As a cluster of before, which runs: nobody lets the role in.
		for _, file := range []string{"pg_hba.conf", "pg_ident.conf"} {
			path := filepath.Join(home, "control", "data", file)
			text, err := os.ReadFile(path)
			noErr(t, err)
			kept := ""
			for line := range strings.Lines(string(text)) {
				if !strings.Contains(line, "changeover_program") {
					kept += line
				}
			}
			info, err := os.Stat(path)
			noErr(t, err)
			noErr(t, os.WriteFile(path, []byte(kept), info.Mode()))
		}
	}
	if strings.Contains(logs.String(), "owns the audit") {
		t.Errorf("it warns:\n%s", logs)
	}
	owner, err := db.Open(t.Context(), engine.ControlString())
	noErr(t, err)
	defer owner.Close()
	if list, err := db.ListAudit(t.Context(), owner, "", platform.Everything(), db.AuditFilter{}); err != nil || len(list) != 2 {
		t.Errorf("%d rows (%v)", len(list), err)
	}
}

// A server of somebody else's has one role unless its owner is named; that is said.
func TestOwnControlDatabaseIsSaid(t *testing.T) {
	s := newSite(t, nil)
	logs := &logBuffer{}
	url := s.pool.Config().ConnString()
	pool, err := openControlPool(t.Context(), config{DatabaseURL: url}, nil, slog.New(slog.NewTextHandler(logs, nil)))
	noErr(t, err)
	pool.Close()
	if !strings.Contains(logs.String(), "CHANGEOVER_OWNER_DATABASE_URL") {
		t.Errorf("nothing is said:\n%s", logs)
	}
	role := "program_of_" + strings.TrimPrefix(s.pool.Config().ConnConfig.Database, "changeover_test_")
	_, err = s.pool.Exec(t.Context(), `create role `+role+` login`)
	noErr(t, err)
	t.Cleanup(func() {
		for _, sql := range []string{`drop owned by ` + role, `drop role ` + role} {
			if _, err := s.pool.Exec(context.Background(), sql); err != nil {
				t.Error(err)
			}
		}
	})
	own := strings.Replace(url, s.pool.Config().ConnConfig.User+"@", role+"@", 1)
	if pool, err = openControlPool(t.Context(), config{DatabaseURL: own, OwnerDatabaseURL: url}, nil, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(t.Context(), `delete from audit`); err == nil {
		t.Error("the role removes rows of the audit")
	}
	noErr(t, db.AddAudit(t.Context(), pool, db.AuditEntry{Actor: "x", Action: "x", Outcome: db.AuditDone}))
}
