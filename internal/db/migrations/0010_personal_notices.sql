-- A notice to one person: nobody else sees it, administrators neither, and it
-- goes to no webhook and to nobody's mailbox but theirs.
alter table notices add column user_id bigint references users on delete cascade;
create index notices_user_id_idx on notices (user_id, id) where user_id is not null;
