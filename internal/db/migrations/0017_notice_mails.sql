-- Notices by mail.

-- Which notices somebody wants mailed about the apps on which they have a role;
-- without a row what db.DefaultMailChoice says holds. An administrator has one
-- choice for all apps.
create table mail_choices (
  user_id bigint not null references users on delete cascade,
  role    text not null,
  choice  text not null,
  constraint mail_choices_pkey primary key (user_id, role),
  constraint mail_choices_role_check check (role in ('view', 'operate', 'manage', 'admin')),
  constraint mail_choices_choice_check check (choice in ('none', 'needs', 'all'))
);

-- A mail about a notice has no text of its own: it is made when it is sent, for
-- who may still read it then. Dropped: that was nobody.
alter table mails
  add column notice_id bigint references notices on delete cascade,
  add column user_id   bigint references users on delete cascade,
  add constraint mails_notice_key unique (notice_id, user_id),
  add constraint mails_notice_check check ((notice_id is null) = (user_id is null)),
  drop constraint mails_state_check,
  add constraint mails_state_check check (state in ('waiting', 'sent', 'failed', 'dropped'));
