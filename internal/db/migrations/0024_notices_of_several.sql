-- A notice about several databases that one cause concerned. Each reader sees it
-- with those of the databases that they see, so that everybody has one notice of
-- one cause; it is about no app and no single database.
alter table notices add column several boolean not null default false;
create table notice_databases (
  notice_id   bigint not null references notices on delete cascade,
  database_id bigint not null references databases on delete cascade,
  app_id      bigint not null,             -- to which it was billed then
  after_ms    bigint,                      -- how long it was found stopped; null: it did not run by then
  constraint notice_databases_pkey primary key (notice_id, database_id)
);
create index notice_databases_database_id_idx on notice_databases (database_id);
create index notice_databases_app_id_idx on notice_databases (app_id);

-- A server that was found stopped: since when it runs again, and whether it was
-- told of that it does not.
alter table servers add column runs_again_at timestamptz;
alter table servers add column stopped_told boolean not null default false;
