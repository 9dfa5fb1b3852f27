package main

// sushiData is about 30 MB.
const sushiData = `
create table customers (
  id bigint generated always as identity primary key,
  name text not null,
  since date not null
);
create table orders (
  id bigint generated always as identity primary key,
  customer_id bigint not null references customers,
  at timestamptz not null default now(),
  what text not null,
  pieces integer not null
);
create table daily_totals (day date primary key, total bigint not null);
insert into customers (name, since)
  select (array['Aiko', 'Bente', 'Carla', 'Dmitri', 'Emre', 'Farah'])[1 + g % 6] || ' ' || g, date '2024-01-01' + g % 600 from generate_series(1, 5000) g;
insert into orders (customer_id, at, what, pieces)
  select 1 + g % 5000, now() - g * interval '3 minutes', (array['maki', 'nigiri', 'temaki', 'sashimi', 'uramaki'])[1 + g % 5] || ', ' || md5(g::text), 1 + g % 12
  from generate_series(1, 200000) g;
create index orders_customer_id_idx on orders (customer_id);
` + dailyTotals + "; analyze"

// dailyTotals is what the app works out each night, from nothing.
const dailyTotals = `insert into daily_totals select at::date, sum(pieces) from orders group by 1`

const sushiOrder = `insert into orders (customer_id, what, pieces)
  select 1 + floor(random() * 5000)::int, (array['maki', 'nigiri', 'temaki'])[1 + floor(random() * 3)::int], 1 + floor(random() * 12)::int`

const ramenData = `
create table bowls (id bigint generated always as identity primary key, at timestamptz not null default now(), broth text not null, extra text);
insert into bowls (at, broth, extra)
  select now() - g * interval '9 minutes', (array['shoyu', 'miso', 'tonkotsu'])[1 + g % 3], md5(g::text) from generate_series(1, 50000) g;
analyze`

const ramenOrder = `insert into bowls (broth) values ((array['shoyu', 'miso', 'tonkotsu'])[1 + floor(random() * 3)::int])`
