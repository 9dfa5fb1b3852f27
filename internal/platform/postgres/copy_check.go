package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Contents is what a database holds, as far as a copy of it can be judged by:
// each line is one fact, such as a table with its rows.
type Contents []string

// facts are the lines besides those of the tables. What belongs to an extension
// comes with it.
const factsOfContents = `
select 'sequence ' || format('%I.%I', schemaname, sequencename) || ' at ' || coalesce(last_value::text, 'its start') from pg_sequences
union all
select 'large object ' || m.oid || ', ' || (select count(*) || ' pages, sum ' || coalesce(sum(hashtextextended(encode(l.data, 'hex'), l.pageno)::numeric), 0) from pg_largeobject l where l.loid = m.oid)
	from pg_largeobject_metadata m
union all
select 'relation ' || format('%I.%I', n.nspname, c.relname) || ' of kind ' || c.relkind::text || ' of ' || c.relowner::regrole || ', ' || coalesce(c.relacl::text, 'nobody else')
	from pg_class c join pg_namespace n on n.oid = c.relnamespace
	where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
union all
select 'function ' || p.oid::regprocedure || ' of ' || p.proowner::regrole || ', ' || md5(coalesce(p.prosrc, '')) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
	where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
union all
select 'constraint ' || conname || ' on ' || conrelid::regclass || ': ' || pg_get_constraintdef(oid) from pg_constraint where conrelid <> 0 and connamespace <> 'pg_catalog'::regnamespace
union all
select 'trigger ' || t.tgname || ' on ' || t.tgrelid::regclass || ', ' || t.tgenabled::text from pg_trigger t join pg_proc p on p.oid = t.tgfoid
	where not t.tgisinternal and p.pronamespace not in (select oid from pg_namespace where nspname ~ '^pg_changeover')
union all
select 'policy ' || polname || ' on ' || polrelid::regclass from pg_policy
union all
select 'type ' || format('%I.%I', n.nspname, t.typname) from pg_type t join pg_namespace n on n.oid = t.typnamespace
	where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
union all
select 'schema ' || nspname || ' of ' || nspowner::regrole from pg_namespace where nspname !~ '^pg_'
union all
select 'extension ' || extname || ' ' || extversion || ' of ' || extowner::regrole from pg_extension`

// ReadContents reads what the connection's database holds, every row of it. conn
// is the superuser's, with pg_catalog alone as its search path: nothing that the
// app has written is run.
func ReadContents(ctx context.Context, conn *pgx.Conn) (Contents, error) {
	lines, err := texts(ctx, conn, factsOfContents)
	if err != nil {
		return nil, fmt.Errorf("read what the database holds: %w", err)
	}
	tables, err := texts(ctx, conn, `select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`)
	if err != nil {
		return nil, err
	}
	for _, table := range tables {
		var line string
		// A sum does not depend on the order in which rows lie.
		err := conn.QueryRow(ctx, `select count(*) || ' rows, sum ' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) from only `+table+` t`).Scan(&line)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", table, err)
		}
		lines = append(lines, "table "+table+": "+line)
	}
	slices.Sort(lines)
	return lines, nil
}

// Differs is the first fact that only one of two databases has; "" where there is none.
func (c Contents) Differs(other Contents) string {
	for i := range min(len(c), len(other)) {
		if c[i] < other[i] {
			return c[i]
		} else if c[i] > other[i] {
			return other[i]
		}
	}
	if longer := append(c[min(len(c), len(other)):], other[min(len(c), len(other)):]...); len(longer) > 0 {
		return longer[0]
	}
	return ""
}

// CopySettings gives the role the same settings in a database, of this or another
// server, that it has made for itself in the one of from. What the plan sets stays
// as it is on the new side.
func CopySettings(ctx context.Context, from, to *pgx.Conn, fromDatabase, toDatabase, role string) error {
	rows, err := from.Query(ctx, `select s.setdatabase = 0, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
		from pg_db_role_setting s join pg_roles r on r.oid = s.setrole cross join unnest(s.setconfig) c
		where r.rolname = $1 and s.setdatabase in (0, (select oid from pg_database where datname = $2)) and split_part(c, '=', 1) <> 'temp_file_limit'`, role, fromDatabase)
	if err != nil {
		return err
	}
	type setting struct {
		Everywhere  bool
		Name, Value string
	}
	settings, err := pgx.CollectRows(rows, pgx.RowToStructByPos[setting])
	if err != nil {
		return err
	}
	for _, s := range settings {
		in := " in database " + pgx.Identifier{toDatabase}.Sanitize()
		if s.Everywhere {
			in = ""
		}
		// A list such as search_path's is only quoted right by PostgreSQL itself.
		err := pgx.BeginFunc(ctx, to, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "select set_config($1, $2, true)", s.Name, s.Value); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "alter role "+pgx.Identifier{role}.Sanitize()+in+" set "+pgx.Identifier{s.Name}.Sanitize()+" from current")
			return err
		})
		if err != nil {
			return fmt.Errorf("setting %s of the app's role: %w", s.Name, err)
		}
	}
	return nil
}
