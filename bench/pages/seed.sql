-- A control database as a large house has it. The sizes are settings of the
-- session: bench.databases, bench.followers, bench.apps, bench.notices,
-- bench.samples (of each follower, one a second), bench.browsers, bench.port
-- (the first of the servers' ports) and bench.zone.
--
-- No server stands behind these rows, so theirs are "stopped": the program
-- neither starts nor reads them. The benchmark plays the monitor's part.

create temp table sizes as select
  current_setting('bench.databases')::int as databases, current_setting('bench.followers')::int as followers,
  current_setting('bench.apps')::int as apps, current_setting('bench.notices')::int as notices,
  current_setting('bench.samples')::int as samples, current_setting('bench.browsers')::int as browsers,
  current_setting('bench.port')::int as port, current_setting('bench.zone') as zone;

insert into users (email, is_admin)
  select 'reader-' || g || '@example.com', true from sizes, generate_series(1, browsers) g;

-- Apps -----------------------------------------------------------------------
create temp table seeded_apps as
  with made as (insert into apps (name, created_at)
    select 'app-' || g, now() - interval '200 days' from sizes, generate_series(1, apps) g returning id)
  select id, row_number() over (order by id)::int as n from made;
insert into formations (app_id, process, quantity)
  select id, p, 2 from seeded_apps, unnest(array['web', 'worker']) p;

-- Databases --------------------------------------------------------------------
-- The first followers of a leader stand together: the first leader has four,
-- the others of the first half of the apps have one or none.
create temp table seeded as
  with made as (
    insert into databases (name, app_id, plan, state, major, database_name, role_name, password_sealed, created_at, readable_at)
    select 'postgresql-' || (array['amber', 'boreal', 'cobalt', 'dapple', 'ember', 'fennel', 'garnet', 'hazel'])[1 + g % 8] || '-' || lpad(g::text, 5, '0'),
      a.id, (array['standard-0', 'standard-2', 'premium-0', 'standard-3'])[1 + g % 4], 'available', 15, 'd' || g, 'u' || g, '',
      now() - interval '200 days' + g * interval '1 hour', now() - interval '100 days'
    from sizes s, generate_series(1, s.databases) g join seeded_apps a on a.n = 1 + g % (select apps from sizes)
    returning id, app_id, name, plan, created_at)
  select *, right(name, 5)::int as n from made;
create unique index on seeded (id);
create unique index on seeded (n);

update databases d set following_id = leader.id
  from seeded f, seeded leader, sizes s
  where d.id = f.id and f.n > s.databases - s.followers
    and leader.n = case when s.databases - f.n < 4 then 1 else s.databases - f.n end;

insert into servers (database_id, zone, port, major, plan, state, created_at)
  select d.id, s.zone, s.port + d.n, 15, d.plan, 'stopped', d.created_at from seeded d, sizes s;
update databases d set server_id = v.id from servers v, seeded n where v.database_id = d.id and n.id = d.id;
update servers v set leader_id = l.server_id
  from databases d join databases l on l.id = d.following_id, seeded n where v.database_id = d.id and n.id = d.id;

insert into attachments (app_id, database_id, name)
  select app_id, id, case when n <= (select apps from sizes) then 'DATABASE' else 'HEROKU_POSTGRESQL_COLOR' || n end from seeded;
insert into attachments (app_id, database_id, name)
  select app_id, id, 'REPORTS_' || n from seeded where n % 10 = 0;
insert into billing_periods (database_id, plan, monthly_cents, started_at, ended_at)
  select id, 'standard-0', 5000, created_at, created_at + interval '9 days' from seeded where n % 3 = 0;
insert into billing_periods (database_id, plan, monthly_cents, started_at)
  select id, plan, 20000, created_at + interval '9 days' from seeded;
insert into releases (app_id, number, description, actor, created_at)
  select id, g, 'Set LOG_LEVEL', 'reader-1@example.com', now() - (101 - g) * interval '1 day' from seeded_apps, generate_series(1, 100) g;

insert into readings (database_id, answers, data_bytes, tables, connections, version, commits_per_s, wal_bytes_per_s,
    in_recovery, lag_at, lag_known, lag_commits, lag_bytes, lag_seconds)
  select n.id, n.n % 50 <> 7, (n.n % 90) * 1e8::bigint, 40, n.n % 100, '15.14', 20, 1e5, d.following_id is not null,
    case when d.following_id is not null then now() end, d.following_id is not null, 3, 4096, 0
  from seeded n join databases d using (id);

-- Operations ---------------------------------------------------------------------
-- Each leader has twelve, four of them changeovers from a database to itself:
-- what is drawn is the same as for any other.
create temp table seeded_operations as
  with made as (
    insert into operations (kind, state, database_id, target_id, app_id, requested_by, requested_at, started_at, ended_at, no_return_at)
    select case when g % 3 = 0 then 'follower_changeover' else 'promote' end, 'completed', d.id,
      case when g % 3 = 0 then d.id end, d.app_id, 'reader-1@example.com', at, at, at + interval '20 seconds', at + interval '10 seconds'
    from seeded d, generate_series(1, 12) g, lateral (select now() - g * interval '8 days' as at) t
    returning id, kind, requested_at)
  select * from made;
insert into operation_steps (operation_id, position, name, state, detail, started_at, finished_at)
  select o.id, p - 1, name, 'done', '', o.requested_at + p * interval '1 second', o.requested_at + p * interval '1 second' + interval '250 milliseconds'
  from seeded_operations o, unnest(case when o.kind = 'promote' then array['promote'] else array['check', 'reserve_server', 'copy_leader',
    'start_follower', 'attach', 'wait_until_caught_up', 'turn_on_maintenance', 'scale_down', 'prepare_switch', 'fence_writes',
    'wait_until_zero_behind', 'unfollow', 'check_writable', 'promote', 'scale_up', 'turn_off_maintenance', 'prove',
    'start_old_leader', 'refresh_statistics'] end) with ordinality as steps (name, p);
insert into changeovers (operation_id, new_follower, confirmed_jobs, shutdown_lsn, old_timeline, old_end_lsn, fork_lsn, new_timeline,
    refused_at, accepted_at, outage_ms, sessions_ended, transactions_ended, unlogged_tables)
  select id, true, true, '0/3000028', 1, '0/30000A0', '0/30000A0', 2, requested_at + interval '10 seconds',
    requested_at + interval '10.24 seconds', 240, 8, 1, 0
  from seeded_operations where kind = 'follower_changeover';

-- Notices and audit ------------------------------------------------------------
insert into notices (at, kind, level, database_id, app_id, subject, body)
  select now() - (s.notices - g) * interval '2 minutes', 'follower_held_up', (array['ok', 'info', 'warn', 'bad'])[1 + g % 4], d.id, d.app_id,
    d.name || ' is 1.2 GB behind its leader',
    'Its replay waits for 1 transaction:' || E'\n' || '- connection 4711 (psql), open for 20m0s: select count(*) from orders' || E'\n' || 'End them, or let them finish.'
  from sizes s, generate_series(1, s.notices) g join seeded d on d.n = 1 + g % (select databases from sizes);
-- The first reader has read nine tenths, a few of the others some.
insert into notice_reads (notice_id, user_id)
  select id, (select id from users where email = 'reader-1@example.com') from notices where id % 10 <> 0;
insert into notice_reads (notice_id, user_id)
  select n.id, u.id from notices n join users u on u.email like 'reader-_@example.com' and u.email <> 'reader-1@example.com' where n.id % 100 = 0;
insert into audit (at, actor, action, subject, outcome, ip)
  select now() - (s.notices - g) * interval '3 minutes', 'reader-' || 1 + g % 50 || '@example.com', 'start follower changeover', d.name, 'done', '192.0.2.7'
  from sizes s, generate_series(1, s.notices) g join seeded d on d.n = 1 + g % (select databases from sizes);

-- Lag samples: one a second, up to now. Every hour has its peak.
insert into lag_samples (database_id, at, commits, bytes, seconds)
  select d.id, date_trunc('second', now()) - (s.samples - g) * interval '1 second', c, c * 700, c / 400.0
  from sizes s, databases d join seeded n using (id), generate_series(1, s.samples) g,
    lateral (select case when g % 3600 < 60 then 2000 + d.id % 700 else g % 40 end as c) x
  where d.following_id is not null order by d.id, 2;
