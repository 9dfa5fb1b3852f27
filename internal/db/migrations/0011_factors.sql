-- What somebody signs in with besides a password.

-- An authenticator app. The secret is sealed; null in confirmed_at: it was shown
-- and no code of it has come back yet. A step is half a minute: a code of a step
-- that is not after last_step is refused, so that none counts twice.
create table authenticators (
  user_id       bigint primary key references users on delete cascade,
  secret_sealed bytea not null,
  created_at    timestamptz not null default now(),
  confirmed_at  timestamptz,
  last_step     bigint not null default 0
);

-- Codes for the day on which the other factor is lost. Only hashes: a code is
-- 120 random bits.
create table recovery_codes (
  user_id    bigint not null references users on delete cascade,
  code_hash  bytea not null,
  created_at timestamptz not null default now(),
  used_at    timestamptz,
  constraint recovery_codes_pkey primary key (user_id, code_hash)
);

-- Who was right about the first factor and is asked for the second.
create table pending_sign_ins (
  token_hash bytea primary key,
  user_id    bigint not null references users on delete cascade,
  how        text not null,                    -- "a password"
  next       text not null default '',         -- the page that was asked for
  created_at timestamptz not null default now()
);

-- Passkeys. A passkey belongs to the name at which the site was open.
alter table users add column passkey_handle bytea not null
  default decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');
create unique index users_passkey_handle_key on users (passkey_handle);
create table passkeys (
  id            bigint generated always as identity primary key,
  user_id       bigint not null references users on delete cascade,
  name          text not null,
  site          text not null,
  credential_id bytea not null constraint passkeys_credential_id_key unique,
  credential    jsonb not null,                -- public key, counter, flags: nothing secret
  created_at    timestamptz not null default now(),
  last_used_at  timestamptz
);
create index passkeys_user_id_idx on passkeys (user_id);

-- Challenges that a browser was given and has not answered; each is answered once.
create table passkey_challenges (
  challenge_hash bytea primary key,
  purpose        text not null,
  browser        bytea not null,               -- hash of what ties forms to that browser
  user_id        bigint references users on delete cascade,
  ceremony       jsonb not null,
  created_at     timestamptz not null default now(),
  constraint passkey_challenges_purpose_check check (purpose in ('register', 'sign in', 'second', 'proof'))
);

-- A reset link that an administrator makes for who has lost the second factor, too.
alter table sign_in_links add column clears_factors boolean not null default false;
