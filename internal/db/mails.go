package db

import (
	"context"
	"strconv"
	"time"

	"changeover/internal/platform"
)

// Mail is one mail that waits. Its body is sealed in the control database.
type Mail struct {
	ID        int64
	To        string
	Subject   string // never a secret
	Body      string
	GoodUntil time.Time
	// NoticeID and UserID are set for a mail about a notice, whose text is made
	// when it is sent.
	NoticeID *int64
	UserID   *int64
}

// CreateMail keeps a mail to be sent within goodFor and returns its id.
func CreateMail(ctx context.Context, q Querier, s *Sealer, m Mail, goodFor time.Duration) (int64, error) {
	id, err := value[int64](ctx, q, nil, `select nextval(pg_get_serial_sequence('mails', 'id'))`)
	if err != nil {
		return 0, err
	}
	_, err = exec(ctx, q, `insert into mails (id, recipient, subject, body_sealed, good_until) values ($1, $2, left($3, 300), $4, now() + $5::interval)`,
		id, m.To, m.Subject, s.Seal(m.Body, mailBodyContext(id)), goodFor)
	return id, err
}

// CreateNoticeMail keeps a mail about a notice to a user, who has one at most. It
// is of use for goodFor. The id is 0 where there is one already.
func CreateNoticeMail(ctx context.Context, q Querier, n Notice, user User, goodFor time.Duration) (int64, error) {
	return value[int64](ctx, q, nil, `with added as (
			insert into mails (recipient, subject, notice_id, user_id, good_until) values ($1, left($2, 300), $3, $4, now() + $5::interval)
			on conflict on constraint mails_notice_key do nothing returning id)
		select coalesce((select id from added), 0)`, user.Email, n.Subject, n.ID, user.ID, goodFor)
}

// DropMail ends a mail that nobody is to get any more; problem says why.
func DropMail(ctx context.Context, q Querier, id int64, problem string) error {
	_, err := exec(ctx, q, `update mails set state = 'dropped', last_error = $2, body_sealed = null, ended_at = now() where id = $1 and state = 'waiting'`, id, problem)
	return err
}

func mailBodyContext(id int64) string { return "mails:" + strconv.FormatInt(id, 10) + ":body" }

// WaitingMail is a mail that is not sent yet; NotFound for any other.
func WaitingMail(ctx context.Context, q Querier, s *Sealer, id int64) (Mail, error) {
	row, err := one[struct {
		ID         int64
		Recipient  string
		Subject    string
		BodySealed []byte
		GoodUntil  time.Time
		NoticeID   *int64
		UserID     *int64
	}](ctx, q, platform.NotFound("This mail was sent or given up."),
		`select id, recipient, subject, body_sealed, good_until, notice_id, user_id from mails where id = $1 and state = 'waiting'`, id)
	if err != nil {
		return Mail{}, err
	}
	m := Mail{ID: row.ID, To: row.Recipient, Subject: row.Subject, GoodUntil: row.GoodUntil, NoticeID: row.NoticeID, UserID: row.UserID}
	if row.BodySealed != nil {
		m.Body, err = s.Open(row.BodySealed, mailBodyContext(id))
	}
	return m, err
}

// EndMail ends a mail, as sent when problem is empty, else as failed; its body
// is forgotten.
func EndMail(ctx context.Context, q Querier, id int64, problem string) error {
	_, err := exec(ctx, q, `update mails set state = case when $2 = '' then 'sent' else 'failed' end, last_error = $2, body_sealed = null, ended_at = now()
		where id = $1 and state = 'waiting'`, id, problem)
	return err
}

// NoteMailProblem keeps why a mail still waits.
func NoteMailProblem(ctx context.Context, q Querier, id int64, problem string) error {
	_, err := exec(ctx, q, `update mails set last_error = $2 where id = $1 and state = 'waiting'`, id, problem)
	return err
}

// DeleteOldMails forgets mails that ended 30 days ago.
func DeleteOldMails(ctx context.Context, q Querier) (int64, error) {
	return exec(ctx, q, `delete from mails where ended_at < now() - interval '30 days'`)
}
