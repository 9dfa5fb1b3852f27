package jobs

import (
	"context"
	"slices"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

const (
	tellAtOnce = 20 // notices a transaction
	// noticeGoodFor is how long a notice is worth a mail.
	noticeGoodFor = 24 * time.Hour
	// noticePriority puts mails about notices behind those that somebody waits
	// for, a link to sign in with for example. They all leave by one server.
	noticePriority = 3
)

// tellNotices sets mails on their way for every notice that was written since:
// the feed is the outbox. A notice is marked in the transaction that keeps its
// mails and their jobs, so that a crash neither loses nor doubles one.
func (j *Jobs) tellNotices(ctx context.Context) error {
	for {
		told := 0
		err := db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
			notices, err := db.UntoldNotices(ctx, tx, tellAtOnce)
			if err != nil {
				return err
			}
			told = len(notices)
			for _, n := range notices {
				if err := j.tellNotice(ctx, tx, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || told < tellAtOnce {
			return err
		}
	}
}

func (j *Jobs) tellNotice(ctx context.Context, tx pgx.Tx, n db.Notice) error {
	apps, err := appsOfNotice(ctx, tx, n.ID)
	if err != nil {
		return err
	}
	if n.UserID == nil { // whoever writes one to a person mails it, too
		if err := j.mailNotice(ctx, tx, n, apps); err != nil {
			return err
		}
		if err := j.hookNotice(ctx, tx, n, apps); err != nil {
			return err
		}
	}
	return db.SetNoticeTold(ctx, tx, n.ID)
}

// appsOfNotice are the apps whose people see a notice.
func appsOfNotice(ctx context.Context, q db.Querier, id int64) ([]int64, error) {
	reach, err := db.ReachOfNotice(ctx, q, id)
	return slices.Concat(reach.Apps, reach.SeenBy), err
}

// mailNotice keeps a mail for everybody who wants one of such a notice now.
func (j *Jobs) mailNotice(ctx context.Context, tx pgx.Tx, n db.Notice, apps []int64) error {
	set, err := db.MailIsSet(ctx, tx)
	left := noticeGoodFor - time.Since(n.At)
	if err != nil || !set || left <= 0 {
		return err
	}
	people, err := db.PeopleWhoSee(ctx, tx, apps)
	if err != nil {
		return err
	}
	for _, person := range people {
		seen, _, wants, err := wantsMail(ctx, tx, n.ID, person.ID, apps)
		if err != nil {
			return err
		}
		if !wants {
			continue
		}
		id, err := db.CreateNoticeMail(ctx, tx, seen, person, left)
		if err != nil {
			return err
		}
		if id == 0 {
			continue
		}
		if _, err := j.river.InsertTx(ctx, tx, mailArgs{MailID: id}, &river.InsertOpts{Priority: noticePriority}); err != nil {
			return err
		}
	}
	return nil
}

// wantsMail is the notice as the user may see it, and whether they do and have
// chosen to get such a one by mail; now, not when it was written.
func wantsMail(ctx context.Context, q db.Querier, id, userID int64, apps []int64) (n db.Notice, choice platform.MailChoice, wants bool, err error) {
	access, err := db.AccessOf(ctx, q, userID)
	if err != nil || !access.SeesAny(apps...) {
		return n, "", false, err
	}
	n, err = db.NoticeByID(ctx, q, userID, access, id)
	if platform.KindOf(err) == platform.KindNotFound {
		return n, "", false, nil
	}
	if err != nil {
		return n, "", false, err
	}
	choices, err := db.MailChoicesOf(ctx, q, userID)
	choice = choices.For(access, apps)
	return n, choice, err == nil && choice.Wants(n.Level), err
}
