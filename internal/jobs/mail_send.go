package jobs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/mail"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

const (
	// mailQueue keeps mails, which wait for somebody else's server, apart from
	// operations.
	mailQueue   = "mail"
	mailAtOnce  = 2
	mailWithin  = time.Minute
	mailBackoff = 5 * time.Second // doubled with every attempt
	mailPatient = time.Hour       // never longer than this between two
)

// Mail is what somebody is to be told. Subject and To are kept readable; Body
// is sealed, so a link belongs there.
type Mail struct {
	To      string
	Subject string
	Body    string
	// GoodFor is how long it is worth sending; 24 hours when zero.
	GoodFor time.Duration
}

// SendMail sends m in the background, again and again while it is good. It
// returns as soon as the mail is kept; NotFound when no mail server is set.
func (j *Jobs) SendMail(ctx context.Context, m Mail) error {
	return db.InTx(ctx, j.Pool, func(tx pgx.Tx) error { return j.SendMailTx(ctx, tx, m) })
}

// SendMailTx is SendMail in the transaction of what the mail is about.
func (j *Jobs) SendMailTx(ctx context.Context, tx pgx.Tx, m Mail) error {
	if _, err := db.MailStatusNow(ctx, tx); err != nil {
		return err
	}
	if m.GoodFor == 0 {
		m.GoodFor = 24 * time.Hour
	}
	id, err := db.CreateMail(ctx, tx, j.Sealer, db.Mail{To: m.To, Subject: m.Subject, Body: m.Body}, m.GoodFor)
	if err != nil {
		return err
	}
	_, err = j.river.InsertTx(ctx, tx, mailArgs{MailID: id}, nil)
	return err
}

// SendTestMail sends a mail at once by the settings as they are, and returns
// what came of it.
func (j *Jobs) SendTestMail(ctx context.Context, to, url string) error {
	settings, err := db.MailSettingsNow(ctx, j.Pool, j.Sealer)
	if err != nil {
		return err
	}
	err = j.Mailer.Send(ctx, senderSettings(settings), mail.Message{
		ID: "test." + strconv.FormatInt(time.Now().UnixNano(), 36), To: to, Subject: "A test from Changeover",
		Body: "Mail from " + url + " arrives. Nothing needs to be done.\n",
	})
	return errors.Join(err, db.NoteMailResult(context.WithoutCancel(ctx), j.Pool, mailProblem(err)))
}

func senderSettings(m db.MailSettings) mail.Settings {
	return mail.Settings{Host: m.Host, Port: m.Port, TLS: mail.TLSMode(m.TLSMode), User: m.UserName, Password: m.Password, From: m.From}
}

// mailProblem is the sentence of an error for the settings page; what is not a
// sentence of ours stays in the log.
func mailProblem(err error) string {
	var ours *platform.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &ours):
		return ours.Message
	}
	return "The mail could not be sent. The log says why."
}

// mailArgs hold the id and nothing else.
type mailArgs struct {
	MailID int64 `json:"mail_id"`
}

// Kind is River's name for the job.
func (mailArgs) Kind() string { return "mail" }

// InsertOpts keeps River from giving up before the mail is too old.
func (mailArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: mailQueue, MaxAttempts: 1000}
}

type mailWorker struct {
	river.WorkerDefaults[mailArgs]
	jobs *Jobs
}

// Timeout bounds one attempt.
func (*mailWorker) Timeout(*river.Job[mailArgs]) time.Duration { return mailWithin }

// NextRetry waits twice as long after each attempt.
func (*mailWorker) NextRetry(job *river.Job[mailArgs]) time.Time {
	wait := mailBackoff << min(max(job.Attempt-1, 0), 10)
	return time.Now().Add(min(wait, mailPatient))
}

// Work tries once. A mail may arrive twice when the program dies between
// sending and recording; both have the same Message-ID.
func (w *mailWorker) Work(ctx context.Context, job *river.Job[mailArgs]) error {
	j, id := w.jobs, job.Args.MailID
	m, err := db.WaitingMail(ctx, j.Pool, j.Sealer, id)
	if platform.KindOf(err) == platform.KindNotFound {
		return nil
	}
	if err != nil {
		return mailFailed(j, id, err)
	}
	if time.Now().After(m.GoodUntil) {
		return db.EndMail(ctx, j.Pool, id, "It was not sent in time and is of no use any more.")
	}
	settings, err := db.MailSettingsNow(ctx, j.Pool, j.Sealer)
	if platform.KindOf(err) == platform.KindNotFound {
		return db.EndMail(ctx, j.Pool, id, "Mail was turned off before it was sent.")
	}
	if err != nil {
		return mailFailed(j, id, err)
	}
	message, err := j.messageOf(ctx, m)
	if why := droppedBecause(err); why != "" {
		return db.DropMail(ctx, j.Pool, id, why)
	}
	if err != nil {
		return mailFailed(j, id, err)
	}
	err = j.Mailer.Send(ctx, senderSettings(settings), message)
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := db.NoteMailResult(record, j.Pool, mailProblem(err)); err != nil {
		j.Log.Warn("what came of a mail was not recorded", "mail", id, "error", err)
	}
	switch {
	case err == nil, errors.Is(err, mail.ErrRefused):
		return db.EndMail(record, j.Pool, id, mailProblem(err))
	}
	if err := db.NoteMailProblem(record, j.Pool, id, mailProblem(err)); err != nil {
		j.Log.Warn("why a mail waits was not recorded", "mail", id, "error", err)
	}
	return mailFailed(j, id, err)
}

// mailFailed logs err and gives River, which stores what it gets, a pointer.
func mailFailed(j *Jobs, id int64, err error) error {
	j.Log.Warn("a mail was not sent; it is tried again", "mail", id, "error", err)
	return fmt.Errorf("mail %d was not sent; see the log", id)
}
