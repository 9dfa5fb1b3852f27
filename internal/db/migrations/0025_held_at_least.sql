-- Since when clients of connection pools were held, for an attempt that follows one
-- which died; and whether held_ms is the least that they waited, not all of it.
alter table changeovers
  add column held_since    timestamptz,
  add column held_at_least boolean not null default false;
