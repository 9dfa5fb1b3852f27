-- A search of the audit for a part of a word. Without the extension (it comes
-- with PostgreSQL's own contrib modules), or with it in a schema that is not
-- looked in, the rows are read one by one.
do $$
begin
  create extension if not exists pg_trgm;
  create index audit_text_idx on audit using gin (lower(actor || E'\n' || action || E'\n' || subject || E'\n' || detail) gin_trgm_ops);
exception when others then
  raise notice 'no pg_trgm: the audit is searched without an index (%)', sqlerrm;
end $$;
analyze audit;
