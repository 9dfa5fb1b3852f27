-- Maintenances in people's calendars.

-- Of a feed only the token's hash is kept: a person has one at most.
create table calendar_feeds (
  user_id       bigint primary key references users on delete cascade,
  token_hash    bytea not null constraint calendar_feeds_token_hash_key unique,
  created_at    timestamptz not null default now(),
  last_fetched_at timestamptz
);

-- What a calendar knows an event by, and by what it sees that the event changed.
alter table maintenances
  add column calendar_uid uuid not null default gen_random_uuid(),
  add column revision     integer not null default 0,
  add column changed_at   timestamptz not null default now();
