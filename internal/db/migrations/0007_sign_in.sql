-- How people sign in.

alter table users add column name text not null default '';

-- A link that resets sets a password where there is one already.
alter table sign_in_links
  add column resets  boolean not null default false,
  add column made_by text not null default '';   -- an administrator's address, or empty

-- Whence somebody has signed in: a network and a kind of browser. A sign-in from
-- elsewhere is told to the person.
create table sign_in_places (
  user_id  bigint not null references users on delete cascade,
  place    text not null,
  first_at timestamptz not null default now(),
  last_at  timestamptz not null default now(),
  constraint sign_in_places_pkey primary key (user_id, place)
);
