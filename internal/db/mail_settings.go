package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// MailSettings are the mail server's. Password is empty where none is needed.
type MailSettings struct {
	Host     string
	Port     int
	TLSMode  string // implicit, starttls
	UserName string
	Password string
	From     string
}

// MailStatus is the settings without the password, and what came of the last mails.
type MailStatus struct {
	Host        string
	Port        int
	TLSMode     string
	UserName    string
	HasPassword bool
	From        string
	UpdatedAt   time.Time
	UpdatedBy   string
	LastSentAt  *time.Time
	LastError   string // a sentence; empty when the last mail went out
	LastErrorAt *time.Time
	Waiting     int // mails that are still tried
}

const mailPasswordContext = "mail_settings:password"

func noMail() error {
	return platform.NotFound("No mail server is set. An administrator sets one under Settings, Mail.")
}

// MailSettingsNow are the settings with the password; NotFound when none are set.
func MailSettingsNow(ctx context.Context, q Querier, s *Sealer) (MailSettings, error) {
	row, err := one[struct {
		Host           string
		Port           int
		TLSMode        string
		UserName       string
		PasswordSealed []byte
		FromAddress    string
	}](ctx, q, noMail(), `select host, port, tls_mode, user_name, password_sealed, from_address from mail_settings`)
	if err != nil {
		return MailSettings{}, err
	}
	m := MailSettings{Host: row.Host, Port: row.Port, TLSMode: row.TLSMode, UserName: row.UserName, From: row.FromAddress}
	if row.PasswordSealed != nil {
		if m.Password, err = s.Open(row.PasswordSealed, mailPasswordContext); err != nil {
			return MailSettings{}, err
		}
	}
	return m, nil
}

// MailStatusNow is NotFound when no mail server is set.
func MailStatusNow(ctx context.Context, q Querier) (MailStatus, error) {
	return one[MailStatus](ctx, q, noMail(), `select host, port, tls_mode, user_name, password_sealed is not null as has_password, from_address as from,
		updated_at, updated_by, last_sent_at, last_error, last_error_at,
		(select count(*) from mails where state = 'waiting') as waiting from mail_settings`)
}

// MailIsSet is whether mails can be sent.
func MailIsSet(ctx context.Context, q Querier) (bool, error) {
	return value[bool](ctx, q, nil, `select exists (select from mail_settings)`)
}

// SetMailSettings replaces the settings; what came of mails by the old ones is forgotten.
func SetMailSettings(ctx context.Context, q Querier, s *Sealer, m MailSettings, actor string) error {
	var sealed []byte
	if m.Password != "" {
		sealed = s.Seal(m.Password, mailPasswordContext)
	}
	_, err := exec(ctx, q, `insert into mail_settings (host, port, tls_mode, user_name, password_sealed, from_address, updated_by)
		values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (id) do update set host = $1, port = $2, tls_mode = $3, user_name = $4, password_sealed = $5, from_address = $6,
			updated_at = now(), updated_by = $7, last_sent_at = null, last_error = '', last_error_at = null`,
		m.Host, m.Port, m.TLSMode, m.UserName, sealed, m.From, actor)
	return err
}

// DeleteMailSettings turns mail off. What waits fails when it is tried next.
func DeleteMailSettings(ctx context.Context, q Querier) error {
	return mustTouch(ctx, q, noMail(), `delete from mail_settings`)
}

// NoteMailResult keeps what came of the newest mail: a sentence, or empty when
// it was sent.
func NoteMailResult(ctx context.Context, q Querier, problem string) error {
	_, err := exec(ctx, q, `update mail_settings set
		last_sent_at = case when $1 = '' then now() else last_sent_at end,
		last_error = $1, last_error_at = case when $1 = '' then last_error_at else now() end`, problem)
	return err
}
