package db

import (
	"context"

	"changeover/internal/platform"
)

// MailChoicesOf are a user's choices, with the defaults where there is none.
func MailChoicesOf(ctx context.Context, q Querier, userID int64) (platform.MailChoices, error) {
	type row struct{ Role, Choice string }
	rows, err := many[row](ctx, q, `select role, choice from mail_choices where user_id = $1`, userID)
	choices := platform.DefaultMailChoices()
	for _, r := range rows {
		switch choice := platform.MailChoice(r.Choice); r.Role {
		case "view":
			choices.View = choice
		case "operate":
			choices.Operate = choice
		case "manage":
			choices.Manage = choice
		case "admin":
			choices.Admin = choice
		}
	}
	return choices, err
}

// SetMailChoices replaces a user's choices.
func SetMailChoices(ctx context.Context, q Querier, userID int64, c platform.MailChoices) error {
	_, err := exec(ctx, q, `insert into mail_choices (user_id, role, choice)
		select $1, x.role, x.choice from unnest($2::text[], $3::text[]) as x (role, choice)
		on conflict on constraint mail_choices_pkey do update set choice = excluded.choice`,
		userID, []string{"view", "operate", "manage", "admin"}, []string{string(c.View), string(c.Operate), string(c.Manage), string(c.Admin)})
	return err
}

// UntoldNotices locks and returns the oldest notices that were not told of
// outside of the feed yet; those that another transaction tells of are left out.
func UntoldNotices(ctx context.Context, q Querier, most int) ([]Notice, error) {
	return many[Notice](ctx, q, `select `+noticeColumns+` from (select * from notices where told_at is null order by id limit $2 for update skip locked) n
		left join databases d on d.id = n.database_id left join apps a on a.id = n.app_id
		left join notice_reads r on r.notice_id = n.id and r.user_id = $1 order by n.id`, 0, most)
}

// SetNoticeTold records that mails and webhooks of a notice are on their way.
func SetNoticeTold(ctx context.Context, q Querier, id int64) error {
	_, err := exec(ctx, q, `update notices set told_at = now() where id = $1`, id)
	return err
}

// PeopleWhoSee are the users with a role on one of the apps, and the
// administrators, of those who are not deactivated.
func PeopleWhoSee(ctx context.Context, q Querier, apps []int64) ([]User, error) {
	return many[User](ctx, q, `select `+userColumns+` from users u where deactivated_at is null and (is_admin
		or exists (select from app_members m where m.user_id = u.id and m.app_id = any($1))) order by id`, apps)
}

// NoticeTold is how a notice left the feed.
type NoticeTold struct {
	MailedTo []string // addresses, also those of mails that still wait
}

// NoticeToldOf is how a notice left the feed so far.
func NoticeToldOf(ctx context.Context, q Querier, id int64) (NoticeTold, error) {
	return one[NoticeTold](ctx, q, nil, `select array(select recipient from mails where notice_id = $1 and state in ('waiting', 'sent') order by recipient) as mailed_to`, id)
}
