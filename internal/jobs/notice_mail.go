package jobs

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/mail"
)

// UnsubscribePath is where a mail's link that stops such mails leads; the token
// follows.
const UnsubscribePath = "/unsubscribe/"

const unsubscribeContext = "unsubscribe"

// UnsubscribeToken lets whoever has it stop a user's mails about notices, and
// nothing else. It needs no table and does not end.
func UnsubscribeToken(s *db.Sealer, userID int64) string {
	return base64.RawURLEncoding.EncodeToString(s.Seal(strconv.FormatInt(userID, 10), unsubscribeContext))
}

// UnsubscribeUser is whose mails the token stops; NotFound for one that is none.
func UnsubscribeUser(s *db.Sealer, token string) (int64, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		var text string
		if text, err = s.Open(sealed, unsubscribeContext); err == nil {
			return strconv.ParseInt(text, 10, 64)
		}
	}
	return 0, platform.NotFound("This link is not complete. Copy all of it from the mail, or choose under Settings, Notices, what is mailed.")
}

// droppedError ends a mail that is for nobody any more; its text is why.
type droppedError struct{ why string }

func (e *droppedError) Error() string { return e.why }

// noticeMessage is the mail about a notice as its reader may see it now.
func (j *Jobs) noticeMessage(ctx context.Context, m db.Mail) (mail.Message, error) {
	person, err := db.UserByID(ctx, j.Pool, *m.UserID)
	if platform.KindOf(err) == platform.KindNotFound {
		return mail.Message{}, &droppedError{"The person is gone."}
	}
	if err != nil {
		return mail.Message{}, err
	}
	apps, err := appsOfNotice(ctx, j.Pool, *m.NoticeID)
	if platform.KindOf(err) == platform.KindNotFound {
		return mail.Message{}, &droppedError{"The notice is gone."}
	}
	if err != nil {
		return mail.Message{}, err
	}
	n, choice, wants, err := wantsMail(ctx, j.Pool, *m.NoticeID, person.ID, apps)
	if err != nil {
		return mail.Message{}, err
	}
	if !wants {
		return mail.Message{}, &droppedError{"The person may not see the notice any more, or does not want it mailed."}
	}
	stop := j.link(UnsubscribePath + UnsubscribeToken(j.Sealer, person.ID))
	return mail.Message{To: person.Email, Subject: noticeSubject(n), Body: j.noticeMailBody(n, person, choice, stop), Unsubscribe: stop}, nil
}

func noticeSubject(n db.Notice) string {
	if n.AppName == "" {
		return n.Subject
	}
	return "[" + n.AppName + "] " + n.Subject
}

func (j *Jobs) noticeMailBody(n db.Notice, person db.User, choice platform.MailChoice, stop string) string {
	var b strings.Builder
	if person.Name != "" {
		b.WriteString("Hello " + person.Name + ",\n\n")
	}
	first, rest, _ := strings.Cut(platform.NoticeText(n.Kind, n.Body), "\n\n")
	b.WriteString(first + "\n\n")
	for _, f := range n.Figures {
		b.WriteString("  " + f.Label + ": " + strings.TrimSpace(f.Value+" "+f.Unit) + "\n")
	}
	if len(n.Figures) > 0 {
		b.WriteString("\n")
	}
	if rest != "" {
		b.WriteString(rest + "\n\n")
	}
	b.WriteString("Written " + platform.MomentUTC(n.At) + ". All of it, and what to press:\n" + j.link("/notices/"+strconv.FormatInt(n.ID, 10)) + "\n\n-- \n")
	b.WriteString("You get " + map[platform.MailChoice]string{platform.MailAll: "all notices", platform.MailNeeds: "the notices that need a person"}[choice] + " of the apps that you have a role on.\n")
	b.WriteString("Choose what is mailed: " + j.link("/settings/notices") + "\nStop these mails: " + stop + "\n")
	return b.String()
}

// link is the public address of a path.
func (j *Jobs) link(path string) string {
	if j.Link == nil {
		return path
	}
	return j.Link(path)
}

// messageOf is what is sent for a mail that waits.
func (j *Jobs) messageOf(ctx context.Context, m db.Mail) (mail.Message, error) {
	message := mail.Message{To: m.To, Subject: m.Subject, Body: m.Body}
	var err error
	if m.NoticeID != nil {
		message, err = j.noticeMessage(ctx, m)
	}
	message.ID = strconv.FormatInt(m.ID, 10) + ".changeover"
	return message, err
}

// droppedBecause is why a mail is for nobody any more; empty for another error.
func droppedBecause(err error) string {
	var dropped *droppedError
	if errors.As(err, &dropped) {
		return dropped.why
	}
	return ""
}
