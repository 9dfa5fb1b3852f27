package db

import (
	"context"
	"strconv"
	"time"

	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// oldSecretFor is how long the secret of before signs beside a new one.
const oldSecretFor = 24 * time.Hour

// Webhook is an address that gets notices.
type Webhook struct {
	ID           int64
	AppID        *int64 // nil: every notice
	AppName      string
	Host         string
	Encrypted    bool
	OnlyNeeds    bool // only notices that need a person
	CreatedBy    string
	CreatedAt    time.Time
	FailingSince *time.Time
	OffAt        *time.Time
	OffWhy       string

	LastTriedAt *time.Time // of its newest delivery that was tried
	LastState   string
}

const webhookColumns = `w.id, w.app_id, coalesce(a.name, '') as app_name, w.host, w.encrypted, w.only_needs, w.created_by, w.created_at, w.failing_since, w.off_at, w.off_why,
	l.tried_at as last_tried_at, coalesce(l.state, '') as last_state`

const fromWebhooks = ` from webhooks w left join apps a on a.id = w.app_id left join lateral
	(select tried_at, state from webhook_deliveries x where x.webhook_id = w.id and x.tried_at is not null order by x.id desc limit 1) l on true `

func webhookContext(id int64, column string) string {
	return "webhooks:" + strconv.FormatInt(id, 10) + ":" + column
}

func noWebhook() error {
	return platform.NotFound("There is no such webhook. Go back to the list of webhooks.")
}

// NewWebhook is what a webhook's row begins with.
type NewWebhook struct {
	AppID     *int64
	Host      string
	URL       string
	Encrypted bool
	OnlyNeeds bool
	CreatedBy string
}

// CreateWebhook keeps a webhook and returns its id and its secret, which nobody
// is shown again.
func CreateWebhook(ctx context.Context, q Querier, s *Sealer, n NewWebhook) (id int64, secret string, err error) {
	if id, err = value[int64](ctx, q, nil, `select nextval(pg_get_serial_sequence('webhooks', 'id'))`); err != nil {
		return 0, "", err
	}
	secret = newToken()
	_, err = exec(ctx, q, `insert into webhooks (id, app_id, host, url_sealed, encrypted, secret_sealed, only_needs, created_by) overriding system value
		values ($1, $2, $3, $4, $5, $6, $7, $8)`, id, n.AppID, n.Host, s.Seal(n.URL, webhookContext(id, "url")), n.Encrypted,
		s.Seal(secret, webhookContext(id, "secret")), n.OnlyNeeds, n.CreatedBy)
	return id, secret, err
}

// ListWebhooks are those of an app, or with nil those of every notice.
func ListWebhooks(ctx context.Context, q Querier, appID *int64) ([]Webhook, error) {
	return many[Webhook](ctx, q, `select `+webhookColumns+fromWebhooks+`where w.app_id is not distinct from $1 order by w.id`, appID)
}

// WebhookByID is NotFound for one that was removed.
func WebhookByID(ctx context.Context, q Querier, id int64) (Webhook, error) {
	return one[Webhook](ctx, q, noWebhook(), `select `+webhookColumns+fromWebhooks+`where w.id = $1`, id)
}

// ReachOfWebhook is its app; one of every notice is for administrators.
func ReachOfWebhook(ctx context.Context, q Querier, id int64) (Reach, error) {
	return one[Reach](ctx, q, noWebhook(), `select array_remove(array[app_id], null) as apps, '{}'::bigint[] as seen_by from webhooks where id = $1`, id)
}

// WebhookSecrets are the address and what signs, the newest secret first.
func WebhookSecrets(ctx context.Context, q Querier, s *Sealer, id int64) (url string, secrets []string, err error) {
	row, err := one[struct{ URLSealed, SecretSealed, OldSecretSealed []byte }](ctx, q, noWebhook(), `select url_sealed, secret_sealed,
		case when old_secret_until > now() then old_secret_sealed end as old_secret_sealed from webhooks where id = $1`, id)
	if err != nil {
		return "", nil, err
	}
	if url, err = s.Open(row.URLSealed, webhookContext(id, "url")); err != nil {
		return "", nil, err
	}
	for _, sealed := range [][]byte{row.SecretSealed, row.OldSecretSealed} {
		if sealed == nil {
			continue
		}
		secret, err := s.Open(sealed, webhookContext(id, "secret"))
		if err != nil {
			return "", nil, err
		}
		secrets = append(secrets, secret)
	}
	return url, secrets, nil
}

// RotateWebhookSecret makes a new secret; the one of before signs beside it for a day.
func RotateWebhookSecret(ctx context.Context, q Querier, s *Sealer, id int64) (secret string, err error) {
	secret = newToken()
	return secret, mustTouch(ctx, q, noWebhook(), `update webhooks set old_secret_sealed = secret_sealed, old_secret_until = now() + $3::interval, secret_sealed = $2 where id = $1`,
		id, s.Seal(secret, webhookContext(id, "secret")), oldSecretFor)
}

// DeleteWebhook removes it with its deliveries.
func DeleteWebhook(ctx context.Context, q Querier, id int64) error {
	return mustTouch(ctx, q, noWebhook(), `delete from webhooks where id = $1`, id)
}

// TurnWebhookOn lets it get notices again.
func TurnWebhookOn(ctx context.Context, q Querier, id int64) error {
	return mustTouch(ctx, q, noWebhook(), `update webhooks set off_at = null, off_why = '', failing_since = null where id = $1`, id)
}

// TurnWebhookOff lets it get no more; first is whether it was on.
func TurnWebhookOff(ctx context.Context, tx pgx.Tx, id int64, why string) (first bool, err error) {
	n, err := exec(ctx, tx, `update webhooks set off_at = now(), off_why = $2 where id = $1 and off_at is null`, id, why)
	return n > 0, err
}

// WebhooksFor are the webhooks that get a notice of the level that these apps see.
func WebhooksFor(ctx context.Context, q Querier, apps []int64, level platform.NoticeLevel) ([]int64, error) {
	return value[[]int64](ctx, q, nil, `select coalesce(array_agg(id order by id), '{}') from webhooks
		where off_at is null and (app_id is null or app_id = any($1)) and (not only_needs or $2)`, apps, level.NeedsPerson())
}
