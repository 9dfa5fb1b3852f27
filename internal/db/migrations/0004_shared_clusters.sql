-- A shared cluster is a server that belongs to no single database: those in it
-- name it as theirs.
alter table servers alter column database_id drop not null;
alter table servers add constraint servers_shared_check check ((database_id is null) = (plan = 'shared'));
create index databases_server_id_idx on databases (server_id);

-- Since when a database refuses what would make it larger.
alter table databases add column full_at timestamptz;

-- The highest share of a plan's limit that a notice has told of, in percent, and when.
alter table readings
  add column storage_told smallint not null default 0,
  add column storage_told_at timestamptz,
  add column connections_told smallint not null default 0,
  add column connections_told_at timestamptz;
