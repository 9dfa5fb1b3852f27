package postgres

import (
	"context"
	"slices"
	"testing"
	"time"

	"changeover/internal/platform"
	"changeover/internal/platform/platformtest"
)

// What is used most comes first, with indexes, TOAST and catalogs, under the
// names that its files have on a follower, too; what does not exist there is
// left out, and nothing waits for a lock of the app's.
func TestRelationsUsed(t *testing.T) {
	p := newPair(t)
	app, admin := p.leader.Connect(t), p.leader.ConnectAdmin(t)
	run(t, app, "create table hot (id int primary key, body text)", "create table seldom (id int)", "create unlogged table gone (id int)", "create temp table mine (id int)",
		"insert into hot select g, '' from generate_series(1, 1000) g",
		// Too large for a page, and random so that it cannot be packed.
		"insert into hot select 0, string_agg(md5(g::text), '') from generate_series(1, 2000) g",
		"insert into seldom values (1)", "insert into gone select generate_series(1, 1000)", "insert into mine select generate_series(1, 1000)")
	reader := p.leader.Connect(t)
	run(t, reader, "set enable_seqscan = off")
	for range 200 {
		run(t, reader, "select length(body) from hot where id in (0, 500)")
	}
	paths := map[string]string{}
	for _, name := range []string{"hot", "hot_pkey", "seldom", "gone", "pg_catalog.pg_class", "pg_catalog.pg_authid"} {
		paths[name] = platformtest.Query(t, admin, "select pg_relation_filepath($1::text::regclass)", name)
	}
	paths["toast"] = platformtest.Query(t, admin, "select pg_relation_filepath(reltoastrelid) from pg_class where oid = 'hot'::regclass")
	paths["mine"] = platformtest.Query(t, app, "select pg_relation_filepath('mine'::regclass)")
	// What a session has counted is known when it has ended, whichever the version.
	for _, conn := range []interface{ Close(context.Context) error }{reader, app} {
		check(t, conn.Close(t.Context()))
	}

	holder := p.leader.Connect(t)
	run(t, holder, "begin", "lock table hot in access exclusive mode")
	var relations []platform.Relation
	at := func(name string) int {
		return slices.IndexFunc(relations, func(r platform.Relation) bool { return r.Path == paths[name] })
	}
	platformtest.Await(t, "the counters", func() (bool, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		var err error
		relations, err = RelationsUsed(ctx, admin)
		return at("hot") >= 0 && relations[at("hot")].Uses >= 400 && at("seldom") >= 0, err
	})
	for _, name := range []string{"hot", "hot_pkey", "toast", "pg_catalog.pg_class", "pg_catalog.pg_authid"} {
		if at(name) < 0 {
			t.Errorf("%s is not there", name)
		}
	}
	for _, name := range []string{"gone", "mine"} {
		if at(name) >= 0 {
			t.Errorf("%s is there, and is on no follower", name)
		}
	}
	if at("hot") > at("seldom") || at("hot_pkey") > at("seldom") || at("toast") > at("seldom") {
		t.Errorf("in this order: %v", relations)
	}
	if !slices.ContainsFunc(relations, func(r platform.Relation) bool { return r.Path == paths["hot"]+"_fsm" }) {
		t.Error("the map of free space is not there")
	}
	_, total, err := p.platform.WorthWarming(p.follower.Server, relations)
	if size := platformtest.Query(t, admin, "select pg_table_size('pg_class')::text"); err != nil || total < 100_000 {
		t.Errorf("the follower has %d bytes of them (%v); pg_class alone has %s", total, err, size)
	}
}
