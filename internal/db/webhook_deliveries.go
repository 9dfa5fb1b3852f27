package db

import (
	"context"
	"time"

	"changeover/internal/platform"
)

// Delivery is a notice, or a test, on its way to a webhook.
type Delivery struct {
	ID        int64
	WebhookID int64
	NoticeID  *int64 // nil: a test
	Subject   string // of the notice
	State     string // waiting, taken, failed
	Attempts  int
	Status    int // of the last answer; 0: none
	TookMS    int
	Excerpt   string
	Problem   string
	CreatedAt time.Time
	TriedAt   *time.Time
}

const deliveryColumns = `d.id, d.webhook_id, d.notice_id, coalesce(n.subject, '') as subject, d.state, d.attempts, d.status, d.took_ms, d.excerpt, d.problem, d.created_at, d.tried_at
	from webhook_deliveries d left join notices n on n.id = d.notice_id `

func noDelivery() error {
	return platform.NotFound("There is no such delivery. Reload the page of the webhook.")
}

// CreateDelivery keeps a delivery and returns its id: a test where notice is nil.
// Unless it is sent again by hand there is one of a notice; else the id is 0.
func CreateDelivery(ctx context.Context, q Querier, webhookID int64, notice *int64, again bool) (int64, error) {
	return value[int64](ctx, q, nil, `with added as (insert into webhook_deliveries (webhook_id, notice_id, again) values ($1, $2, $3)
		on conflict (webhook_id, notice_id) where not again do nothing returning id) select coalesce((select id from added), 0)`, webhookID, notice, again)
}

// DeliveryByID is NotFound for one that is gone.
func DeliveryByID(ctx context.Context, q Querier, id int64) (Delivery, error) {
	return one[Delivery](ctx, q, noDelivery(), `select `+deliveryColumns+`where d.id = $1`, id)
}

// ListDeliveries are the newest of a webhook.
func ListDeliveries(ctx context.Context, q Querier, webhookID int64, most int) ([]Delivery, error) {
	return many[Delivery](ctx, q, `select `+deliveryColumns+`where d.webhook_id = $1 order by d.id desc limit $2`, webhookID, most)
}

// NoteDelivery keeps what came of trying once, and whether its webhook works:
// since when it fails, nil where it does not.
func NoteDelivery(ctx context.Context, q Querier, d Delivery) (failingSince *time.Time, err error) {
	return value[*time.Time](ctx, q, noDelivery(), `with noted as (update webhook_deliveries set state = $2, attempts = attempts + 1, status = $3, took_ms = $4,
			excerpt = $5, problem = $6, tried_at = now() where id = $1 returning webhook_id)
		update webhooks w set failing_since = case when $6 = '' then null else coalesce(failing_since, now()) end from noted where w.id = noted.webhook_id
		returning w.failing_since`, d.ID, d.State, d.Status, d.TookMS, d.Excerpt, d.Problem)
}

// GiveUpDelivery ends a delivery that was never sent; its webhook is not at fault.
func GiveUpDelivery(ctx context.Context, q Querier, id int64, problem string) error {
	return mustTouch(ctx, q, noDelivery(), `update webhook_deliveries set state = 'failed', problem = $2, tried_at = now() where id = $1`, id, problem)
}

// DeleteOldDeliveries forgets deliveries that were made 30 days ago.
func DeleteOldDeliveries(ctx context.Context, q Querier) (int64, error) {
	return exec(ctx, q, `delete from webhook_deliveries where created_at < now() - interval '30 days'`)
}
