-- Changeover's own tables. Constraints are named: internal/db maps a violated
-- name to a sentence for a person.

-- People ---------------------------------------------------------------------
create table users (
  id            bigint generated always as identity primary key,
  email         text not null,
  password_hash text,                         -- argon2id, encoded; null until set
  is_admin      boolean not null default false,
  created_at    timestamptz not null default now(),
  constraint users_email_check check (email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$')
);
create unique index users_email_key on users (email);

create table sign_in_links (
  token_hash bytea primary key,               -- sha256; the token itself is shown once
  user_id    bigint not null references users on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at    timestamptz
);

create table sessions (
  token_hash   bytea primary key,
  user_id      bigint not null references users on delete cascade,
  csrf_token   text not null,
  created_at   timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  ip           text not null default '',
  user_agent   text not null default ''
);
create index sessions_user_id_idx on sessions (user_id);

create table api_tokens (
  id           bigint generated always as identity primary key,
  user_id      bigint not null references users on delete cascade,
  name         text not null,
  token_hash   bytea not null constraint api_tokens_token_hash_key unique,
  created_at   timestamptz not null default now(),
  last_used_at timestamptz,
  expires_at   timestamptz
);

-- Apps -----------------------------------------------------------------------
create table apps (
  id             bigint generated always as identity primary key,
  name           text not null,
  maintenance_on boolean not null default false,
  created_at     timestamptz not null default now(),
  destroyed_at   timestamptz,
  constraint apps_name_check check (name ~ '^[a-z][a-z0-9-]{0,28}[a-z0-9]$')
);
create unique index apps_name_key on apps (name) where destroyed_at is null;

create table formations (
  app_id   bigint not null references apps on delete cascade,
  process  text not null,
  quantity integer not null,
  constraint formations_pkey primary key (app_id, process),
  constraint formations_quantity_check check (quantity between 0 and 1000)
);

create table config_vars (
  app_id       bigint not null references apps on delete cascade,
  name         text not null,
  value_sealed bytea not null,                -- AES-GCM under the key outside this database
  updated_at   timestamptz not null default now(),
  constraint config_vars_pkey primary key (app_id, name)
);

-- Databases and their servers --------------------------------------------------
create table databases (
  id              bigint generated always as identity primary key,
  name            text not null constraint databases_name_key unique,
  app_id          bigint not null references apps,
  plan            text not null,
  state           text not null default 'creating',
  major           integer not null,
  server_id       bigint,
  following_id    bigint references databases,
  readable_at     timestamptz,
  forked_from_id  bigint references databases,
  fork_ready      boolean not null default true,
  wanted_zone     text not null default '',     -- where its server is to be made; '' = by the rule
  replaced_by_id  bigint references databases,
  fenced_at       timestamptz,
  database_name   text not null,
  role_name       text not null,
  password_sealed bytea not null,
  created_at      timestamptz not null default now(),
  destroyed_at    timestamptz,
  constraint databases_state_check check (state in ('creating', 'available', 'fenced', 'destroying', 'destroyed'))
);
create index databases_app_id_idx on databases (app_id);
create index databases_following_id_idx on databases (following_id) where following_id is not null;

create table servers (
  id           bigint generated always as identity primary key,
  database_id  bigint not null references databases,
  zone         text not null,
  port         integer not null,
  major        integer not null,
  plan         text not null,
  state        text not null default 'making',
  fenced       boolean not null default false,
  leader_id    bigint references servers,
  created_at   timestamptz not null default now(),
  destroyed_at timestamptz,
  constraint servers_state_check check (state in ('making', 'running', 'stopped', 'destroyed'))
);
-- A port is a server's for its whole life, also while it is fenced or stopped.
create unique index servers_port_key on servers (port) where destroyed_at is null;
create index servers_database_id_idx on servers (database_id);
alter table databases add constraint databases_server_id_fkey foreign key (server_id) references servers;

create table attachments (
  id          bigint generated always as identity primary key,
  app_id      bigint not null references apps on delete cascade,
  database_id bigint not null references databases,
  name        text not null,
  created_at  timestamptz not null default now(),
  constraint attachments_app_id_name_key unique (app_id, name)
);
create index attachments_database_id_idx on attachments (database_id);

-- What a database is billed for, one row for each stretch on one plan.
create table billing_periods (
  id            bigint generated always as identity primary key,
  database_id   bigint not null references databases,
  plan          text not null,
  monthly_cents bigint not null,
  started_at    timestamptz not null default now(),
  ended_at      timestamptz
);
create unique index billing_periods_open_key on billing_periods (database_id) where ended_at is null;
create index billing_periods_database_id_idx on billing_periods (database_id);

-- Operations -------------------------------------------------------------------
-- Epochs are one sequence for the whole installation, so that the engine can
-- compare those of different operations on the same server.
create sequence epochs;

create table operations (
  id                  bigint generated always as identity primary key,
  kind                text not null,
  state               text not null default 'running',
  database_id         bigint not null references databases,
  target_id           bigint references databases,
  app_id              bigint references apps,
  reason              text not null default '',
  cancel_requested_by text not null default '',
  requested_by        text not null,
  requested_at        timestamptz not null default now(),
  started_at          timestamptz,
  ended_at            timestamptz,
  no_return_at        timestamptz,
  attempt             integer not null default 1,
  epoch               bigint not null default 0,
  needs_person        boolean not null default false,
  constraint operations_state_check check (state in ('running', 'undoing', 'completed', 'undone'))
);
create index operations_database_id_idx on operations (database_id, id);
create index operations_target_id_idx on operations (target_id, id);
create index operations_open_idx on operations (id) where state in ('running', 'undoing');

-- The constraint is the lock: one open operation a database.
create table operation_claims (
  database_id  bigint not null constraint operation_claims_pkey primary key references databases,
  operation_id bigint not null references operations
);
create index operation_claims_operation_id_idx on operation_claims (operation_id);

create table operation_steps (
  operation_id bigint not null references operations,
  position     integer not null,
  name         text not null,
  state        text not null default 'pending',
  detail       text not null default '',
  started_at   timestamptz,
  finished_at  timestamptz,
  constraint operation_steps_pkey primary key (operation_id, position),
  constraint operation_steps_name_key unique (operation_id, name),
  constraint operation_steps_state_check check (state in ('pending', 'running', 'done', 'failed', 'undone', 'kept'))
);

-- What was asked for, and what the steps of an operation learned about the switch.
create table changeovers (
  operation_id         bigint primary key references operations,
  new_follower         boolean not null,      -- the follower was made for this changeover
  confirmed_jobs       boolean not null,      -- "scheduled jobs are stopped" was ticked
  saved_formation      jsonb,                 -- what to scale back up to
  maintenance_was_on   boolean,
  shutdown_lsn         pg_lsn,                -- the old leader's shutdown checkpoint record
  old_timeline         integer,
  old_end_lsn          pg_lsn,                -- end of the old leader's WAL, from the old leader
  fork_lsn             pg_lsn,                -- where the new timeline begins, from the new leader
  new_timeline         integer,
  refused_at           timestamptz,           -- first refused or held write of the probe
  accepted_at          timestamptz,           -- first accepted one after it
  outage_ms            double precision,
  sessions_ended       integer,
  transactions_ended   integer,
  unlogged_tables      integer,
  release_number       integer
);

-- Watching ---------------------------------------------------------------------
-- The newest reading of each database; one row each, overwritten.
create table readings (
  database_id       bigint primary key references databases on delete cascade,
  at                timestamptz not null default now(),
  answers           boolean not null,
  unanswered_since  timestamptz,
  problem           text not null default '',
  data_bytes        bigint not null default 0,
  tables            integer not null default 0,
  connections       integer not null default 0,
  version           text not null default '',
  commits_per_s     double precision not null default 0,
  wal_bytes_per_s   double precision not null default 0,
  in_recovery       boolean not null default false,
  lag_at            timestamptz,             -- when the lag was last measured; at is of the other facts
  lag_known         boolean not null default false,
  lag_since         timestamptz,
  lag_commits       bigint not null default 0,
  lag_bytes         bigint not null default 0,
  lag_seconds       double precision not null default 0,
  copied_bytes      bigint not null default 0,  -- while a follower is being copied
  copy_total_bytes  bigint not null default 0
);

create table lag_samples (
  database_id bigint not null references databases on delete cascade,
  at          timestamptz not null,
  commits     bigint not null,
  bytes       bigint not null,
  seconds     double precision not null,
  constraint lag_samples_pkey primary key (database_id, at)
);

-- Notices, audit -----------------------------------------------------------------
create table notices (
  id           bigint generated always as identity primary key,
  at           timestamptz not null default now(),
  kind         text not null,
  level        text not null default 'info',
  database_id  bigint references databases,
  app_id       bigint references apps,
  operation_id bigint references operations,
  subject      text not null,
  body         text not null,
  constraint notices_level_check check (level in ('ok', 'info', 'warn', 'bad'))
);
create index notices_database_id_idx on notices (database_id, id);

create table notice_reads (
  notice_id bigint not null references notices on delete cascade,
  user_id   bigint not null references users on delete cascade,
  at        timestamptz not null default now(),
  constraint notice_reads_pkey primary key (user_id, notice_id)
);

create table audit (
  id      bigint generated always as identity primary key,
  at      timestamptz not null default now(),
  actor   text not null,
  action  text not null,                      -- "POST /databases/:database/changeover"
  subject text not null default '',           -- "postgresql-shaped-12345"
  outcome text not null,                      -- done, refused, failed
  detail  text not null default '',           -- never a secret
  ip      text not null default ''
);

create table releases (
  app_id       bigint not null references apps on delete cascade,
  number       integer not null,
  description  text not null,
  actor        text not null,
  operation_id bigint references operations,
  created_at   timestamptz not null default now(),
  constraint releases_pkey primary key (app_id, number)
);
