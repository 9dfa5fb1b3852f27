-- A connection pool is an attachment's: its port stays the same for the
-- attachment's life, whichever server is behind it. What a detached attachment
-- leaves behind is ended by the program, which then sets removed_at.
create table pools (
  id            bigint generated always as identity primary key,
  attachment_id bigint constraint pools_attachment_id_key unique references attachments on delete set null,
  port          integer not null,
  verifier      text not null,                 -- the app role's SCRAM verifier, as the server has it
  created_at    timestamptz not null default now(),
  removed_at    timestamptz
);
create unique index pools_port_key on pools (port) where removed_at is null;

-- From the pause of the pools until their clients went on.
alter table changeovers add column held_ms double precision;
