-- Notices as a mailbox, and what is told outside of it.

alter table notices
  -- The numbers of it: [{"label": …, "value": …, "unit": …}].
  add column figures jsonb not null default '[]',
  -- When mails and webhooks were set on their way; null: they are to be.
  add column told_at timestamptz;
update notices set told_at = at;
create index notices_untold_idx on notices (id) where told_at is null;
create index notices_app_id_idx on notices (app_id, id);
create index notices_kind_idx on notices (kind, id);
create index notices_at_idx on notices (at);

-- Since when a server that should run was found stopped; null while it runs.
alter table servers add column found_stopped_at timestamptz;

-- Since when people know that a follower is far behind; null: they need not.
alter table readings add column behind_told_at timestamptz;
