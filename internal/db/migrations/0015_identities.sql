-- Who signs in through an identity provider: its name for somebody, never their
-- address, which can go to another person there.
create table identities (
  issuer       text not null,
  subject      text not null,
  user_id      bigint not null references users on delete cascade,
  created_at   timestamptz not null default now(),
  last_used_at timestamptz not null default now(),
  constraint identities_pkey primary key (issuer, subject),
  constraint identities_user_id_key unique (user_id, issuer)
);

-- Answers of identity providers that were taken: each counts once.
create table spent_states (
  state_hash bytea primary key,
  at         timestamptz not null default now()
);
create index spent_states_at_idx on spent_states (at);
