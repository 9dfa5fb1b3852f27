-- When a session's person last proved who they are.
alter table sessions add column proved_at timestamptz not null default now();
update sessions set proved_at = created_at;

-- What an API token may do: read, or all that its person may.
alter table api_tokens
  add column scope text not null default 'full',
  add constraint api_tokens_scope_check check (scope in ('read', 'full'));
