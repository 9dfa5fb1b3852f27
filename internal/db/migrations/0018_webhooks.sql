-- Notices by webhook.

-- An address that gets notices as signed JSON. The address may hold a token, so
-- it is sealed like the secret.
create table webhooks (
  id             bigint generated always as identity primary key,
  app_id         bigint references apps on delete cascade,   -- null: every notice, an administrator's
  host           text not null,
  url_sealed     bytea not null,
  encrypted      boolean not null,                           -- https
  secret_sealed  bytea not null,
  old_secret_sealed bytea,                                   -- signs beside the new one
  old_secret_until  timestamptz,                             -- until then
  only_needs     boolean not null default false,             -- only notices that need a person
  created_by     text not null,
  created_at     timestamptz not null default now(),
  failing_since  timestamptz,                                -- null: the last delivery was taken
  off_at         timestamptz,
  off_why        text not null default ''
);
create index webhooks_app_id_idx on webhooks (app_id);

-- One notice to one webhook; a test has no notice. Sent again by hand is another row.
create table webhook_deliveries (
  id          bigint generated always as identity primary key,
  webhook_id  bigint not null references webhooks on delete cascade,
  notice_id   bigint references notices on delete cascade,
  again       boolean not null default false,                -- by hand
  state       text not null default 'waiting',
  attempts    integer not null default 0,
  status      integer not null default 0,                    -- of the last answer; 0: none
  took_ms     integer not null default 0,
  excerpt     text not null default '',
  problem     text not null default '',
  created_at  timestamptz not null default now(),
  tried_at    timestamptz,
  constraint webhook_deliveries_state_check check (state in ('waiting', 'taken', 'failed'))
);
create unique index webhook_deliveries_once_key on webhook_deliveries (webhook_id, notice_id) where not again;
create index webhook_deliveries_created_at_idx on webhook_deliveries (created_at);
