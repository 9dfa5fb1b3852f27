package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/webhook"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

const (
	webhookQueue  = "webhook"
	webhookWithin = time.Minute
	// webhookAtOnce is how many deliveries are under way; of one webhook it is one,
	// and a few wait a moment for their turn. So it takes more receivers that hang
	// at the same time than this to delay anybody else's.
	webhookAtOnce  = 100
	webhookOfOne   = 4
	webhookPatient = 2 * time.Second
	// webhookPatience is how long a webhook may fail before it is turned off.
	webhookPatience = 3 * 24 * time.Hour
)

// webhookWaits are the waits between two attempts, a day in all.
func webhookWaits() []time.Duration {
	return []time.Duration{10 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 8 * time.Hour}
}

// hookArgs hold the id and nothing else.
type hookArgs struct {
	DeliveryID int64 `json:"delivery_id"`
}

// Kind is River's name for the job.
func (hookArgs) Kind() string { return "webhook" }

// InsertOpts gives it as many attempts as there are waits, and the first.
func (hookArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: webhookQueue, MaxAttempts: len(webhookWaits()) + 1}
}

type hookWorker struct {
	river.WorkerDefaults[hookArgs]
	jobs  *Jobs
	turns turns // by webhook
}

// Timeout bounds one attempt.
func (*hookWorker) Timeout(*river.Job[hookArgs]) time.Duration { return webhookWithin }

// NextRetry waits longer after each attempt.
func (*hookWorker) NextRetry(job *river.Job[hookArgs]) time.Time {
	waits := webhookWaits()
	return time.Now().Add(waits[min(max(job.Attempt-1, 0), len(waits)-1)])
}

// Work tries once. A delivery may arrive twice when the program dies between
// sending and recording; both have the same id.
func (w *hookWorker) Work(ctx context.Context, job *river.Job[hookArgs]) error {
	d, err := db.DeliveryByID(ctx, w.jobs.Pool, job.Args.DeliveryID)
	if err == nil && d.State == "waiting" {
		done, again := w.turns.take(ctx, d.WebhookID)
		if again > 0 {
			return river.JobSnooze(again)
		}
		defer done()
		d, err = db.DeliveryByID(ctx, w.jobs.Pool, job.Args.DeliveryID) // it may have been sent meanwhile
	}
	if platform.KindOf(err) == platform.KindNotFound || err == nil && d.State != "waiting" {
		return nil
	}
	if err == nil {
		d, err = w.jobs.deliver(ctx, d, job.Attempt >= job.MaxAttempts)
	}
	if err != nil {
		w.jobs.Log.Warn("a delivery was not recorded; it is tried again", "delivery", job.Args.DeliveryID, "error", err)
	}
	if err != nil || d.State == "waiting" {
		return fmt.Errorf("delivery %d was not taken; its webhook's page says why", job.Args.DeliveryID)
	}
	return nil
}

// deliver sends a delivery once and records what came of it; last is whether a
// failure is its end.
func (j *Jobs) deliver(ctx context.Context, d db.Delivery, last bool) (db.Delivery, error) {
	hook, err := db.WebhookByID(ctx, j.Pool, d.WebhookID)
	if err != nil {
		return d, err
	}
	var result webhook.Result
	if hook.OffAt != nil && d.NoticeID != nil {
		result, last = webhook.Result{Problem: "The webhook is off."}, true
	} else {
		message, err := j.hookMessage(ctx, d, hook.AppID)
		switch {
		case d.NoticeID != nil && platform.KindOf(err) == platform.KindNotFound:
			// Of a notice about several databases the app may see none any more. That is
			// for good, and no failure of the receiver.
			d.State, d.Problem = "failed", "Nothing was sent: no database that this notice is about belongs to the webhook's app any more, or is attached to it."
			return d, db.GiveUpDelivery(ctx, j.Pool, d.ID, d.Problem)
		case err != nil:
			return d, err
		default:
			result = j.Hooks.Send(ctx, message)
		}
	}
	d.Status, d.TookMS, d.Excerpt, d.Problem, d.State = result.Status, int(result.Took.Milliseconds()), result.Excerpt, result.Problem, "taken"
	if result.Problem != "" {
		if d.State = "waiting"; last || result.Gone || d.NoticeID == nil {
			d.State = "failed"
		}
	}
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return d, db.InTx(record, j.Pool, func(tx pgx.Tx) error {
		since, err := db.NoteDelivery(record, tx, d)
		if err != nil || hook.OffAt != nil {
			return err
		}
		if result.Gone || since != nil && j.Now().Sub(*since) >= webhookPatience {
			return j.turnOff(record, tx, hook, result)
		}
		return nil
	})
}

// turnOff ends a webhook that fails for days, or that wants no more, with a notice.
func (j *Jobs) turnOff(ctx context.Context, tx pgx.Tx, hook db.Webhook, result webhook.Result) error {
	first, err := db.TurnWebhookOff(ctx, tx, hook.ID, result.Problem)
	if err != nil || !first {
		return err
	}
	_, err = db.CreateNotice(ctx, tx, db.NewNotice{Kind: platform.NoticeWebhookOff, AppID: hook.AppID, Subject: "Off: the webhook to " + hook.Host,
		Body: "The webhook to " + hook.Host + " gets no more notices.\n\nWhy. " + result.Problem + "\n\nWhat to do. When the receiver works again, turn the webhook on from its page. What it missed can be sent again from there."})
	return err
}

// hookBody is what a receiver gets. Its fields are never renamed; another shape
// would be another version.
type hookBody struct {
	Version     int                  `json:"version"`
	Delivery    int64                `json:"delivery"`
	Kind        string               `json:"kind"` // "test" for a test
	Level       platform.NoticeLevel `json:"level"`
	NeedsPerson bool                 `json:"needs_person"`
	At          time.Time            `json:"at"`
	App         string               `json:"app,omitempty"`
	Database    string               `json:"database,omitempty"`
	Operation   *int64               `json:"operation,omitempty"`
	Subject     string               `json:"subject"`
	Body        string               `json:"body"`
	Figures     []platform.Figure    `json:"figures"`
	URL         string               `json:"url"`
}

// hookAccess is what a webhook sees: all, or what the people of its app do.
func hookAccess(appID *int64) platform.Access {
	if appID == nil {
		return platform.Everything()
	}
	return platform.Access{Apps: map[int64]platform.Role{*appID: platform.RoleView}}
}

func (j *Jobs) hookMessage(ctx context.Context, d db.Delivery, appID *int64) (webhook.Message, error) {
	url, secrets, err := db.WebhookSecrets(ctx, j.Pool, j.Sealer, d.WebhookID)
	if err != nil {
		return webhook.Message{}, err
	}
	body := hookBody{Version: 1, Delivery: d.ID, Kind: "test", Level: platform.NoticeInfo, At: d.CreatedAt, Figures: []platform.Figure{},
		Subject: "A test from Changeover", Body: "The webhook works. Nothing needs to be done.", URL: j.link("/webhooks/" + strconv.FormatInt(d.WebhookID, 10))}
	if d.NoticeID != nil {
		n, err := db.NoticeByID(ctx, j.Pool, 0, hookAccess(appID), *d.NoticeID)
		if err != nil {
			return webhook.Message{}, err
		}
		body = hookBody{Version: 1, Delivery: d.ID, Kind: string(n.Kind), Level: n.Level, NeedsPerson: n.Level.NeedsPerson(), At: n.At, App: n.AppName, Database: n.DatabaseName,
			Operation: n.OperationID, Subject: n.Subject, Body: platform.NoticeText(n.Kind, n.Body), Figures: n.Figures, URL: j.link("/notices/" + strconv.FormatInt(n.ID, 10))}
	}
	text, err := json.Marshal(body)
	return webhook.Message{URL: url, ID: strconv.FormatInt(d.ID, 10), Kind: body.Kind, Body: text, Secrets: secrets}, err
}

// hookNotice keeps a delivery for every webhook that gets such a notice.
func (j *Jobs) hookNotice(ctx context.Context, tx pgx.Tx, n db.Notice, apps []int64) error {
	hooks, err := db.WebhooksFor(ctx, tx, apps, n.Level)
	if err != nil {
		return err
	}
	if n.Several { // more than to know for those of whose databases one does not run
		stopped, err := db.StoppedApps(ctx, tx, n.ID)
		if err != nil {
			return err
		}
		if len(stopped) > 0 {
			more, err := db.WebhooksFor(ctx, tx, stopped, platform.NoticeBad)
			if err != nil {
				return err
			}
			hooks = slices.Compact(slices.Sorted(slices.Values(append(hooks, more...))))
		}
	}
	for _, hook := range hooks {
		id, err := db.CreateDelivery(ctx, tx, hook, &n.ID, false)
		if err != nil {
			return err
		}
		if id == 0 {
			continue
		}
		if _, err := j.river.InsertTx(ctx, tx, hookArgs{DeliveryID: id}, nil); err != nil {
			return err
		}
	}
	return nil
}

// SendTestWebhook sends a test at once and returns what came of it.
func (j *Jobs) SendTestWebhook(ctx context.Context, webhookID int64) (db.Delivery, error) {
	id, err := db.CreateDelivery(ctx, j.Pool, webhookID, nil, false)
	if err != nil {
		return db.Delivery{}, err
	}
	d, err := db.DeliveryByID(ctx, j.Pool, id)
	if err != nil {
		return d, err
	}
	return j.deliver(ctx, d, true)
}

// Redeliver sends a notice to its webhook once more, in the background.
func (j *Jobs) Redeliver(ctx context.Context, webhookID, deliveryID int64) error {
	return db.InTx(ctx, j.Pool, func(tx pgx.Tx) error {
		d, err := db.DeliveryByID(ctx, tx, deliveryID)
		if err != nil {
			return err
		}
		if d.WebhookID != webhookID || d.NoticeID == nil {
			return platform.NotFound("There is no such delivery. Reload the page of the webhook.")
		}
		id, err := db.CreateDelivery(ctx, tx, webhookID, d.NoticeID, true)
		if err != nil {
			return err
		}
		_, err = j.river.InsertTx(ctx, tx, hookArgs{DeliveryID: id}, nil)
		return err
	})
}
