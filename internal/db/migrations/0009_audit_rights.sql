-- Who may read which row of the audit, and that nobody rewrites one.

-- The apps that an act concerned. Rows of before have none: administrators see
-- them, and whoever acted.
alter table audit add column app_ids bigint[] not null default '{}';
create index audit_app_ids_idx on audit using gin (app_ids);
create index audit_actor_idx on audit (actor, id);

create function audit_only_grows() returns trigger language plpgsql as $$
begin
  raise exception 'the audit only grows: no row of it is changed or removed' using errcode = 'insufficient_privilege';
end $$;
create trigger audit_only_grows before update or delete or truncate on audit
  for each statement execute function audit_only_grows();
