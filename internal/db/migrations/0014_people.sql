-- Who is here, and who is asked to come.

-- Somebody who is deactivated cannot sign in; what they did keeps their name.
alter table users
  add column deactivated_at  timestamptz,
  add column deactivated_by  text not null default '',
  add column last_sign_in_at timestamptz;
update users u set last_sign_in_at = (select max(s.created_at) from sessions s where s.user_id = u.id);

-- An invitation to an app with a role, or to the installation. It is for one
-- address; of its link only the hash is kept, and it works once.
create table invitations (
  id          bigint generated always as identity primary key,
  token_hash  bytea not null constraint invitations_token_hash_key unique,
  email       text not null,
  app_id      bigint references apps on delete cascade,     -- null: to the installation
  role        text,                                         -- on the app
  is_admin    boolean not null default false,
  invited_by  bigint not null references users on delete cascade,
  created_at  timestamptz not null default now(),
  expires_at  timestamptz not null,
  accepted_at timestamptz,
  revoked_at  timestamptz,
  constraint invitations_email_check check (email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  constraint invitations_role_check check (role in ('view', 'operate', 'manage')),
  constraint invitations_to_check check ((app_id is null) = (role is null) and not (is_admin and app_id is not null))
);
-- The newest of an address to the same place is the one that works.
create unique index invitations_open_key on invitations (email, coalesce(app_id, 0)) where accepted_at is null and revoked_at is null;
create index invitations_app_id_idx on invitations (app_id);
