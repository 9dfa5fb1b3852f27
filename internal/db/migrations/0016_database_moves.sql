-- A move of an Essential database: the new database that an upgrade copies it
-- into, and the old one, which is kept closed for a day.
create table database_moves (
  operation_id      bigint primary key references operations,
  database_id       bigint not null references databases,
  plan              text not null,
  from_plan         text not null,
  maintenance       boolean not null,                 -- the app is in maintenance mode meanwhile
  database_name     text not null,                    -- of the new one
  server_id         bigint references servers,        -- of the new one; null before it is chosen, and once it is removed
  old_database_name text not null,
  old_server_id     bigint not null references servers,
  data_bytes        bigint,                           -- what was copied
  kept_until        timestamptz                       -- null: the old one is not kept, or not any more
);
create index database_moves_database_id_idx on database_moves (database_id);
create index database_moves_kept_until_idx on database_moves (kept_until) where kept_until is not null;
