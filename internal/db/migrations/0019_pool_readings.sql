-- What goes on in a connection pool: the newest look at it, and the plot's
-- samples. One that does not answer keeps its last figures and since when.
create table pool_readings (
  pool_id          bigint primary key references pools on delete cascade,
  at               timestamptz,            -- of the figures; null before the first answer
  unanswered_since timestamptz,            -- null while it answers
  problem          text not null default '',
  clients_active   integer not null default 0,
  clients_waiting  integer not null default 0,
  servers_used     integer not null default 0,
  size             integer not null default 0,
  longest_wait_ms  double precision not null default 0,
  held             boolean not null default false,
  constraint pool_readings_known check (at is not null or unanswered_since is not null)
);

create table pool_samples (
  pool_id         bigint not null references pools on delete cascade,
  at              timestamptz not null,
  clients_active  integer not null,
  clients_waiting integer not null,        -- most at once since the sample before
  servers_used    integer not null,
  wait_ms         double precision not null, -- longest wait seen since the sample before
  average_ms      double precision not null, -- wait of a transaction on average since then
  primary key (pool_id, at)
);
