-- Maintenances: planned switches of databases, and when they may run.

alter table databases
  add column window_weekday smallint,   -- 0 is Sunday; null: the default of platform.DefaultWindow
  add column window_minute  smallint,   -- of the day, UTC
  add constraint databases_window_check check (
    (window_weekday is null) = (window_minute is null)
    and window_weekday between 0 and 6 and window_minute between 0 and 1410 and window_minute % 30 = 0);

create table blackouts (
  id         bigint generated always as identity primary key,
  app_id     bigint references apps on delete cascade,   -- null: every app
  begins_at  timestamptz not null,
  ends_at    timestamptz not null,                       -- not included
  reason     text not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  constraint blackouts_order_check check (ends_at > begins_at)
);
create index blackouts_ends_at_idx on blackouts (ends_at);

create table maintenances (
  id                bigint generated always as identity primary key,
  database_id       bigint not null references databases,
  operation_id      bigint not null constraint maintenances_operation_id_key unique references operations,
  kind              text not null,
  state             text not null default 'preparing',
  from_plan         text not null,
  to_plan           text not null,
  scheduled_at      timestamptz,
  chosen_time       boolean not null default false,  -- by a person: a change of the window leaves it alone
  at_once           boolean not null default false,  -- as soon as it is ready
  required_by       timestamptz,
  moved_by          text not null default '',
  postponed         integer not null default 0,      -- switches that were begun and put back
  reason            text not null default '',
  created_by        text not null,
  created_at        timestamptz not null default now(),
  ready_at          timestamptz,
  started_at        timestamptz,
  ended_at          timestamptz,
  outage_ms         double precision,
  told_tomorrow_for timestamptz,
  constraint maintenances_state_check check (state in ('preparing', 'ready', 'scheduled', 'running', 'completed', 'cancelled', 'failed'))
);
-- One at a time for each database.
create unique index maintenances_open_key on maintenances (database_id) where state in ('preparing', 'ready', 'scheduled', 'running');
create index maintenances_database_id_idx on maintenances (database_id, id);
create index maintenances_scheduled_at_idx on maintenances (scheduled_at) where state in ('preparing', 'ready', 'scheduled', 'running');
create index maintenances_ended_at_idx on maintenances (ended_at) where ended_at is not null;

-- The server that an operation makes in order to put it in another's place, and
-- the one it replaces, for as long as that is kept for switching back.
create table replacements (
  operation_id  bigint primary key references operations,
  database_id   bigint not null references databases,
  plan          text not null,
  server_id     bigint references servers,          -- null before it is reserved
  old_server_id bigint not null references servers,
  kept_until    timestamptz                         -- null: the old server is not kept
);
create index replacements_database_id_idx on replacements (database_id);

-- What a switch did with each of the leader's followers.
create table follower_moves (
  operation_id  bigint not null references operations,
  database_id   bigint not null references databases,
  state         text not null default 'waiting',
  detail        text not null default '',
  recreation_id bigint references operations,       -- the operation that makes it anew
  constraint follower_moves_pkey primary key (operation_id, database_id),
  constraint follower_moves_state_check check (state in ('waiting', 'following', 'recreating'))
);

-- An operation that is being put back only as far as this step, from which it
-- begins again; null: it is put back as a whole.
alter table operations add column undo_to integer;

-- A notice that is given once, however often a step or a program asks for it.
alter table notices add column once text constraint notices_once_key unique;
