-- What pages ask for again and again, cheap to answer.

-- The lag of a follower over a stretch of time: the worst of its samples and
-- when the last of them was. Written together with the samples, so that a plot
-- reads some hundred rows and not one of each second.
create table lag_stretches (
  database_id bigint not null references databases on delete cascade,
  width       integer not null,            -- in seconds
  at          timestamptz not null,        -- its beginning: a multiple of width since the epoch
  last_at     timestamptz not null,
  commits     bigint not null,
  bytes       bigint not null,
  seconds     double precision not null,
  constraint lag_stretches_pkey primary key (database_id, width, at)
) with (fillfactor = 80);                  -- the newest rows are written again and again
insert into lag_stretches (database_id, width, at, last_at, commits, bytes, seconds)
  select database_id, 15, to_timestamp(floor(date_part('epoch', at) / 15) * 15), max(at), max(commits), max(bytes), max(seconds)
  from lag_samples group by 1, 3;
insert into lag_stretches (database_id, width, at, last_at, commits, bytes, seconds)
  select database_id, 360, to_timestamp(floor(date_part('epoch', at) / 360) * 360), max(last_at), max(commits), max(bytes), max(seconds)
  from lag_stretches where width = 15 group by 1, 3;

-- How many notices there are about what and to whom, and how many of them each
-- user has read, as sums to be added up: every page shows how many are unread.
-- A change adds rows of its own and waits for nobody; FoldNoticeSums makes one
-- row of many.
create table notice_sums (
  app_id      bigint,                      -- what they are about, as in notices
  database_id bigint,
  user_id     bigint,                      -- whose own they are; null: everybody's who sees what they are about
  n           bigint not null
);
create table notice_read_sums (
  reader_id   bigint not null,             -- who has read them
  app_id      bigint,
  database_id bigint,
  user_id     bigint,
  n           bigint not null
);
create index notice_read_sums_reader_id_idx on notice_read_sums (reader_id);
-- What is written while they are counted would be counted by nobody.
lock table notices, notice_reads in share row exclusive mode;
insert into notice_sums select app_id, database_id, user_id, count(*) from notices group by 1, 2, 3;
insert into notice_read_sums select r.user_id, n.app_id, n.database_id, n.user_id, count(*)
  from notice_reads r join notices n on n.id = r.notice_id group by 1, 2, 3, 4;

-- They write with their owner's rights: a program of before this migration that
-- still runs has none on the sums yet.
create function notices_added() returns trigger language plpgsql security definer set search_path from current as $$
begin
  insert into notice_sums select app_id, database_id, user_id, count(*) from added group by 1, 2, 3;
  return null;
end $$;
create trigger notices_added after insert on notices referencing new table as added
  for each statement execute function notices_added();

-- Before each row: the reads that go with it are counted as they go, while the
-- notice is still there to be looked at. They are deleted and not looked up, since
-- one that another transaction is deleting at this moment must count once.
create function notice_goes() returns trigger language plpgsql security definer set search_path from current as $$
begin
  insert into notice_sums values (old.app_id, old.database_id, old.user_id, -1);
  delete from notice_reads where notice_id = old.id;
  return old;
end $$;
create trigger notice_goes before delete on notices for each row execute function notice_goes();

create function notice_reads_added() returns trigger language plpgsql security definer set search_path from current as $$
begin
  insert into notice_read_sums select r.user_id, n.app_id, n.database_id, n.user_id, count(*)
    from added r join notices n on n.id = r.notice_id group by 1, 2, 3, 4;
  return null;
end $$;
create trigger notice_reads_added after insert on notice_reads referencing new table as added
  for each statement execute function notice_reads_added();

-- Before each row, too: what goes with a user would otherwise be counted only
-- when that user's own notices have gone as well.
create function notice_read_goes() returns trigger language plpgsql security definer set search_path from current as $$
begin
  insert into notice_read_sums select old.user_id, n.app_id, n.database_id, n.user_id, -1 from notices n where n.id = old.notice_id;
  return old;
end $$;
create trigger notice_read_goes before delete on notice_reads for each row execute function notice_read_goes();

-- What a notice is about never changes, so there is nothing to count anew.
create function notices_stay() returns trigger language plpgsql as $$
begin
  raise exception 'what a notice is about does not change';
end $$;
create trigger notices_stay before update of app_id, database_id, user_id on notices
  for each row when ((old.app_id, old.database_id, old.user_id) is distinct from (new.app_id, new.database_id, new.user_id))
  execute function notices_stay();

-- Whose reads go with a notice.
create index notice_reads_notice_id_idx on notice_reads (notice_id);

analyze lag_stretches, notice_sums, notice_read_sums;
