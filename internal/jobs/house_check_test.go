package jobs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/engine"
	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
)

// formation is what the app runs in these tests; whoever scales down must bring it back.
var formation = []platform.Process{{Type: "web", Quantity: 3}, {Type: "worker", Quantity: 2}}

// inOrder fails the test unless the whole house is as it should be when no
// operation runs: claims given back, nothing half-made, nothing left over.
func (h *house) inOrder(when string) { h.t.Helper(); h.inOrderBut(when, "nothing") }

// inOrderBut is inOrder where one thing is meant to be otherwise.
func (h *house) inOrderBut(when, exception string) {
	h.t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		// A follower may need a moment to stream again after its leader's restart.
		problems := slices.DeleteFunc(h.problems(), func(p string) bool { return strings.HasPrefix(p, exception) })
		if len(problems) == 0 {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("%s:\n  %s", when, strings.Join(problems, "\n  "))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (h *house) problems() (problems []string) {
	ctx := h.t.Context()
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	count := func(want int, what, sql string, args ...any) {
		var n int
		if err := h.pool.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
			say("%s: %v", what, err)
		} else if n != want {
			say("%s: %d, want %d", what, n, want)
		}
	}
	count(0, "open operations", `select count(*) from operations where state in ('running', 'undoing')`)
	count(0, "claims", `select count(*) from operation_claims`)
	count(0, "operations that need a person", `select count(*) from operations where needs_person`)
	count(0, "billed databases that are destroyed, or the reverse", `select count(*) from databases d
		where (d.state = 'destroyed') = exists (select from billing_periods b where b.database_id = d.id and ended_at is null)`)
	count(0, "servers of destroyed databases", `select count(*) from servers s join databases d on d.id = s.database_id
		where s.destroyed_at is null and d.state = 'destroyed'`)
	count(0, "servers that are not running", `select count(*) from servers where destroyed_at is null and state <> 'running'`)
	count(0, "attachments of destroyed databases", `select count(*) from attachments a join databases d on d.id = a.database_id where d.state = 'destroyed'`)
	count(0, "DATABASE_URLs that take no writes", `select count(*) from attachments a join databases d on d.id = a.database_id
		where a.name = 'DATABASE' and (d.state <> 'available' or d.following_id is not null)`)
	count(0, "operations with more or less than one notice", `select count(*) from operations o
		where (select count(*) from notices n where n.operation_id = o.id and n.once is null) <> o.attempt`)
	count(0, "maintenances of operations that have ended", `select count(*) from maintenances m join operations o on o.id = m.operation_id
		where o.ended_at is not null and m.ended_at is null`)
	count(0, "servers that nothing needs", `select count(*) from servers s where s.destroyed_at is null and s.database_id is not null
		and not exists (select from databases d where d.server_id = s.id)
		and not exists (select from replacements p where p.old_server_id = s.id and p.kept_until is not null)`)
	app, err := db.AppByID(ctx, h.pool, h.app.ID)
	if err != nil || app.MaintenanceOn {
		say("maintenance mode is on (%v)", err)
	}
	if now, err := db.Formation(ctx, h.pool, h.app.ID); err != nil || !slices.Equal(now, h.wantFormation()) {
		say("the formation is %v (%v)", now, err)
	}
	servers, err := db.ListServers(ctx, h.pool)
	if err != nil {
		say("servers: %v", err)
	}
	var directories []string
	for _, s := range servers {
		directories = append(directories, strconv.FormatInt(s.ID, 10))
		problems = append(problems, h.serverProblems(ctx, s, servers)...)
	}
	slices.Sort(directories)
	if found := h.directories(); !slices.Equal(found, directories) {
		say("server directories with something in them: %v, want %v", found, directories)
	}
	return problems
}

func (h *house) wantFormation() []platform.Process {
	if h.scaled {
		return formation
	}
	return []platform.Process{{Type: "web", Quantity: 1}}
}

// scale gives the app the formation.
func (h *house) scale() {
	h.t.Helper()
	if err := db.SetFormation(h.t.Context(), h.pool, h.app.ID, formation); err != nil {
		h.t.Fatal(err)
	}
	h.scaled = true
}

func (h *house) serverProblems(ctx context.Context, s platform.Server, all []platform.Server) (problems []string) {
	say := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("server %d: ", s.ID)+fmt.Sprintf(format, args...))
	}
	status, err := h.engine.Status(ctx, h.server(s))
	if err != nil || !status.Running {
		say("does not run (%v)", err)
		return problems
	}
	conn, err := pgx.ConnectConfig(ctx, h.engine.Admin(h.server(s), "postgres"))
	if err != nil {
		say("%v", err)
		return problems
	}
	defer func() { _ = conn.Close(ctx) }()
	var inRecovery bool
	var slots, wanted []string
	var altered string
	err = conn.QueryRow(ctx, `select pg_is_in_recovery(), array(select slot_name::text from pg_replication_slots order by 1),
		(select coalesce(string_agg(name, ', '), '') from pg_file_settings where sourcefile like '%auto.conf')`).Scan(&inRecovery, &slots, &altered)
	if err != nil {
		say("%v", err)
	}
	for _, other := range all {
		if other.LeaderID != nil && *other.LeaderID == s.ID {
			wanted = append(wanted, platformtest.SlotName(other.ID))
		}
	}
	slices.Sort(wanted)
	switch {
	case inRecovery != (s.Fenced || s.LeaderID != nil):
		say("in recovery: %t, fenced: %t, follows: %t", inRecovery, s.Fenced, s.LeaderID != nil)
	case status.StandbySignal != inRecovery:
		say("standby.signal: %t, in recovery: %t", status.StandbySignal, inRecovery)
	case !slices.Equal(slots, wanted):
		say("slots %v, want %v", slots, wanted)
	case altered != "":
		say("left set by alter system: %s", altered)
	}
	if s.Shared {
		problems = append(problems, h.clusterProblems(ctx, s, conn)...)
	}
	if s.LeaderID != nil {
		var streams int
		if err := conn.QueryRow(ctx, `select count(*) from pg_stat_wal_receiver where status = 'streaming' and slot_name = $1`, platformtest.SlotName(s.ID)).Scan(&streams); err != nil || streams != 1 {
			say("does not stream from %d (%v)", *s.LeaderID, err)
		}
	}
	return problems
}

// clusterProblems compares what is in a shared cluster with what should be.
func (h *house) clusterProblems(ctx context.Context, s platform.Server, conn *pgx.Conn) (problems []string) {
	var wanted, databases, roles, pairs []string
	err := h.pool.QueryRow(ctx, `select array(select database_name || '/' || role_name from databases where server_id = $1 order by 1)`, s.ID).Scan(&wanted)
	if err == nil {
		err = conn.QueryRow(ctx, `select
			array(select datname::text from pg_database where datname not in ('postgres', 'template0', 'template1') order by 1),
			array(select rolname::text from pg_roles where rolname !~ '^(pg|changeover)_' order by 1),
			array(select distinct database[1] || '/' || user_name[1] from pg_hba_file_rules where type = 'hostssl' order by 1)`).Scan(&databases, &roles, &pairs)
	}
	if err != nil {
		return []string{fmt.Sprintf("server %d: %v", s.ID, err)}
	}
	names, owners := []string{}, []string{}
	for _, w := range wanted {
		name, owner, _ := strings.Cut(w, "/")
		names, owners = append(names, name), append(owners, owner)
	}
	// What an upgrade keeps closed: the database and its role, but no pair.
	var kept []string
	if err := h.pool.QueryRow(ctx, `select array(select m.old_database_name || '/' || d.role_name from database_moves m join databases d on d.id = m.database_id
		where m.old_server_id = $1 and m.kept_until is not null)`, s.ID).Scan(&kept); err != nil {
		return []string{fmt.Sprintf("server %d: %v", s.ID, err)}
	}
	for _, k := range kept {
		name, owner, _ := strings.Cut(k, "/")
		names, owners = append(names, name), append(owners, owner)
	}
	slices.Sort(names)
	slices.Sort(owners)
	owners = slices.Compact(owners)
	if !slices.Equal(names, databases) || !slices.Equal(owners, roles) || !slices.Equal(wanted, pairs) {
		problems = append(problems, fmt.Sprintf("server %d holds the databases %v, the roles %v, the pairs %v; want %v", s.ID, databases, roles, pairs, wanted))
	}
	return problems
}

// server is a server's row in the engine's words.
func (h *house) server(s platform.Server) engine.Server {
	if s.Shared {
		catalogue, err := platform.ShippedCatalogue()
		if err != nil {
			h.t.Error(err)
		}
		return engine.Server{ID: s.ID, Zone: s.Zone, Port: s.Port, Major: s.Major, Plan: catalogue.Shared, Shared: true}
	}
	return engine.Server{ID: s.ID, Zone: s.Zone, Port: s.Port, Major: s.Major, Plan: platformtest.Plan(h.t, s.Plan), Fenced: s.Fenced}
}

// admin is an administrator's connection that finds the app's tables by their
// names; the program's own finds only what is in pg_catalog.
func (h *house) admin(s engine.Server, database string) *pgx.ConnConfig {
	config := h.engine.Admin(s, database)
	config.RuntimeParams["search_path"] = "public"
	return config
}

// serverOf is the server that the database is now.
func (h *house) serverOf(d platform.Database) engine.Server {
	h.t.Helper()
	s, err := db.ServerOf(h.t.Context(), h.pool, d.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.server(s)
}

// directories are the servers' directories that hold more than their epoch.
func (h *house) directories() (found []string) {
	found = []string{}
	for _, zone := range []string{h.engine.Home, filepath.Join(h.engine.Home, "b")} {
		dirs, _ := filepath.Glob(filepath.Join(zone, "servers", "*"))
		for _, dir := range dirs {
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				if e.Name() != "epoch" {
					found = append(found, filepath.Base(dir))
					break
				}
			}
		}
	}
	slices.Sort(found)
	return found
}
