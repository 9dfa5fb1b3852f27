-- Who has unlinked their account at an identity provider: the same address there
-- does not link them again by itself.
create table unlinked_identities (
  user_id bigint not null references users on delete cascade,
  issuer  text not null,
  at      timestamptz not null default now(),
  constraint unlinked_identities_pkey primary key (user_id, issuer)
);
