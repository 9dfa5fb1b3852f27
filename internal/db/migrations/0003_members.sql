-- Who may see and do what. Administrators need no row here.
create table app_members (
  app_id     bigint not null references apps on delete cascade,
  user_id    bigint not null references users on delete cascade,
  role       text not null,
  added_by   text not null default '',
  created_at timestamptz not null default now(),
  constraint app_members_pkey primary key (app_id, user_id),
  constraint app_members_role_check check (role in ('view', 'operate', 'manage'))
);
create index app_members_user_id_idx on app_members (user_id);

-- Until now whoever signed in could do everything. Nobody loses an app: who is
-- there manages what is there, destroyed apps too, for their history. The first
-- user is an administrator.
insert into app_members (app_id, user_id, role, added_by)
select a.id, u.id, 'manage', 'upgrade' from apps a cross join users u;
update users set is_admin = true where id = (select min(id) from users) and not exists (select from users where is_admin);
