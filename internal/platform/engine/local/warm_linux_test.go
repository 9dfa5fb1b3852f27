package local_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changeover/internal/platform"
	"changeover/internal/platform/platformtest"
)

// What is used most is in memory afterwards; what is beyond the memory of the
// plan, or not used, is not. The follower is in recovery all the time.
func TestUsedMostIsReadIntoMemory(t *testing.T) {
	p := platformtest.New(t)
	platformtest.NeedsDisk(t, p.Home)
	leader := p.Leader(t, "standard-0") // 64 MB of memory
	app, admin := leader.Connect(t), leader.ConnectAdmin(t)
	exec(t, app, "create table hot as select g as id, repeat('x', 900) as body from generate_series(1, 8000) g")
	exec(t, app, "create table cold as select g as id, repeat('x', 900) as body from generate_series(1, 80000) g")
	exec(t, app, "create table unused as select g as id, repeat('x', 900) as body from generate_series(1, 8000) g")
	path := func(table string) string {
		return platformtest.Query(t, admin, "select pg_relation_filepath($1::text::regclass)", table)
	}
	follower := p.Follower(t, leader)
	exec(t, follower.ConnectAdmin(t, "postgres"), "checkpoint")
	dir := follower.DataDir()
	for _, table := range []string{"hot", "cold", "unused"} {
		p.Forget(t, dir, path(table))
		if cached, all := p.Cached(t, dir, path(table), 0, 0); cached > 0 {
			t.Fatalf("%d of %d bytes of %s stay in memory", cached, all, table)
		}
	}

	relations := []platform.Relation{{Path: path("cold"), Uses: 9000}, {Path: path("hot"), Uses: 90_000}, {Path: path("unused")}, {Path: "base/1/99999999", Uses: 7}}
	parts, total, err := p.WorthWarming(follower.Server, relations)
	if err != nil {
		t.Fatal(err)
	}
	var read int64
	for _, part := range parts {
		n, err := p.ReadPart(t.Context(), follower.Server, part)
		if read += n; err != nil || n != part.Bytes {
			t.Errorf("%d of %d bytes of %s read: %v", n, part.Bytes, part.Path, err)
		}
	}
	hot, hotBytes := p.Cached(t, dir, path("hot"), 0, 0)
	_, coldBytes := p.Cached(t, dir, path("cold"), 0, 0)
	if hot != hotBytes {
		t.Errorf("%d of %d bytes of what is used most are in memory", hot, hotBytes)
	}
	if read != 64<<20 || total != hotBytes+coldBytes {
		t.Errorf("%d of %d bytes read; want what the plan's memory holds, 64 MB, of %d", read, total, hotBytes+coldBytes)
	}
	if cached, all := p.Cached(t, dir, path("cold"), 0, 16<<20); cached > 0 {
		t.Errorf("%d of the first %d bytes of what does not fit are in memory", cached, all)
	}
	if cached, all := p.Cached(t, dir, path("cold"), coldBytes&^4095-16<<20, 0); cached != all {
		t.Errorf("%d of the last %d bytes of what does not fit are in memory", cached, all)
	}
	if cached, _ := p.Cached(t, dir, path("unused"), 0, 0); cached > 0 {
		t.Errorf("%d bytes of what nobody uses are in memory", cached)
	}
	if platformtest.Query(t, follower.ConnectAdmin(t), "select pg_is_in_recovery()::text") != "true" {
		t.Error("the follower has left recovery")
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := p.ReadPart(ctx, follower.Server, parts[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("%d bytes read after it was cancelled: %v", n, err)
	}
}

// A relation goes over many files, may be shorter than it was, and is read
// nowhere but where PostgreSQL keeps relations.
func TestReadPartGoesOverFiles(t *testing.T) {
	p := platformtest.New(t)
	s := p.NewServer(t, "standard-0")
	dir := filepath.Join(p.DataDir(s), "base", "5")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"16384": 3 << 20, "16384.1": 3 << 20, "16384.2": 1000, "16384.4": 1 << 20, "163840": 1 << 20} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("x"), size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const whole = 6<<20 + 1000
	if _, total, err := p.WorthWarming(s, []platform.Relation{{Path: "base/5/16384", Uses: 1}}); err != nil || total != whole {
		t.Errorf("it has %d bytes, want %d (%v)", total, whole, err)
	}
	tests := []struct{ from, bytes, want int64 }{
		{0, whole, whole},
		{0, 1000, 1000},
		{2 << 20, 2 << 20, 2 << 20},       // from one file into the next
		{3 << 20, 10, 10},                 // the second file's first byte
		{5<<20 + 5, 2 << 20, 1<<20 + 995}, // to the end of it
		{whole, 10, 0},                    // past the end
		{whole + 100<<20, 10, 0},
	}
	for _, test := range tests {
		n, err := p.ReadPart(t.Context(), s, platform.RelationPart{Path: "base/5/16384", From: test.from, Bytes: test.bytes})
		if err != nil || n != test.want {
			t.Errorf("from %d, %d bytes: %d read, want %d (%v)", test.from, test.bytes, n, test.want, err)
		}
	}
	if n, err := p.ReadPart(t.Context(), s, platform.RelationPart{Path: "base/5/16385", Bytes: 10}); err != nil || n != 0 {
		t.Errorf("%d bytes of what is not there: %v", n, err)
	}
	for _, path := range []string{"postgresql.conf", "/etc/passwd", "base/../postgresql.conf", "../../../etc/passwd", ""} {
		_, err := p.ReadPart(t.Context(), s, platform.RelationPart{Path: path, Bytes: 10})
		if _, _, measureErr := p.WorthWarming(s, []platform.Relation{{Path: path, Uses: 1}}); err == nil || measureErr == nil || !strings.Contains(err.Error(), "no path of a relation") {
			t.Errorf("%q: %v, %v", path, err, measureErr)
		}
	}
}
