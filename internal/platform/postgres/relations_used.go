package postgres

import (
	"context"
	"fmt"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// mostRelations bounds what RelationsUsed gives: of a house with more tables
// than that, the ones that matter are among the first.
const mostRelations = 5000

// RelationsUsed are the files of what the connection's database uses: tables,
// TOAST, indexes, sequences, catalogs, with the maps of free space and
// visibility beside them, those whose blocks are asked for most first. The
// counters are those behind pg_statio_all_tables and pg_statio_all_indexes,
// asked for one relation at a time, since the views add up over all indexes of
// a table. Sizes are not asked: pg_relation_size would queue behind a lock of
// the app's.
func RelationsUsed(ctx context.Context, leader Querier) ([]platform.Relation, error) {
	// What is unlogged or temporary does not exist on a follower.
	rows, err := leader.Query(ctx, `
		select pg_relation_filepath(c.oid) || suffix as path, c.uses
		  from (select oid, pg_stat_get_blocks_fetched(oid) as uses from pg_class
		         where relkind in ('r', 'i', 't', 'm', 'S') and relpersistence = 'p'
		         order by 2 desc limit $1) c
		 cross join (values (''), ('_fsm'), ('_vm')) fork (suffix)
		 where c.uses > 0 and pg_relation_filepath(c.oid) is not null
		 order by c.uses desc, path`, mostRelations)
	if err != nil {
		return nil, fmt.Errorf("ask what is used most: %w", err)
	}
	relations, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r platform.Relation, err error) {
		err = row.Scan(&r.Path, &r.Uses)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("ask what is used most: %w", err)
	}
	return relations, nil
}
