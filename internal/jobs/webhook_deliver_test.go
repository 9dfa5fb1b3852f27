package jobs_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"changeover/internal/db"
	"changeover/internal/db/dbtest"
	"changeover/internal/platform"
	"changeover/internal/platform/outgoing"
	"changeover/internal/platform/webhook"
)

// sender may send to one receiver on this machine.
func sender(address string, within time.Duration) (*webhook.Sender, error) {
	allow, err := outgoing.ParseAllow(address)
	return &webhook.Sender{Dialer: outgoing.New(outgoing.Config{Allow: allow}), Within: within}, err
}

// receivers take deliveries: one that answers as it is told, and one that hangs.
type receivers struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(path string, n int) int // to the n-th request; 0: never
	got    []*http.Request
	at     []time.Time
	bodies []string
}

func newReceivers(t *testing.T, answer func(path string, n int) int) *receivers {
	t.Helper()
	r := &receivers{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body) // a sender that dies has sent it whole, or not at all
		r.mu.Lock()
		r.got, r.bodies, r.at = append(r.got, request), append(r.bodies, string(body)), append(r.at, time.Now())
		status := r.answer(request.URL.Path, len(r.got))
		r.mu.Unlock()
		if status == 0 {
			<-request.Context().Done()
			return
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receivers) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

func (r *receivers) address() string { return strings.TrimPrefix(r.URL, "http://") }

// webhookTo makes a webhook of the house's app.
func (h *house) webhookTo(r *receivers, path string) int64 {
	h.t.Helper()
	id, _, err := db.CreateWebhook(h.t.Context(), h.pool, h.sealer, db.NewWebhook{AppID: &h.app.ID, Host: r.address(), URL: r.URL + path, CreatedBy: actor})
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

func (h *house) writeNotice(subject string) {
	h.t.Helper()
	d := dbtest.Database(h.t, h.pool, h.app.ID, 21000+countOf(h, `select count(*) from notices`))
	if _, err := db.CreateNotice(h.t.Context(), h.pool, db.NewNotice{Kind: platform.NoticeFenced, AppID: &h.app.ID, DatabaseID: &d.ID, Subject: subject, Body: "It is."}); err != nil {
		h.t.Fatal(err)
	}
}

// deliveries are a webhook's, oldest first.
func (h *house) deliveries(hook int64) []db.Delivery {
	h.t.Helper()
	list, err := db.ListDeliveries(h.t.Context(), h.pool, hook, 100)
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// A program that is ended with kill -9 while a receiver has the request loses
// nothing: the delivery is sent again, by the next program, with the same id.
func TestDeliverySurvivesKill9(t *testing.T) {
	t.Parallel()
	r := newReceivers(t, func(_ string, n int) int { return map[bool]int{true: 0, false: 200}[n == 1] })
	h := newHouse(t, withoutRunner, func(h *house) { h.receiver, h.elects = r.address(), true })
	hook := h.webhookTo(r, "/kept")
	h.writeNotice("Fenced: it")
	first := h.startWorker(point{}, 0)
	waitUntil(t, "the first request", func() bool { return r.count() == 1 })
	first.kill()
	killed := time.Now()
	if list := h.deliveries(hook); len(list) != 1 || list[0].State != "waiting" || list[0].Attempts != 0 {
		t.Fatalf("after the kill: %+v", list)
	}
	second := h.startWorker(point{}, 0)
	defer second.kill()
	waitUntil(t, "it is sent again", func() bool { return r.count() >= 2 })
	waitUntil(t, "it is taken", func() bool { return h.deliveries(hook)[0].State == "taken" })
	r.mu.Lock()
	defer r.mu.Unlock()
	if id := r.got[0].Header.Get("Changeover-Delivery"); id == "" || r.got[1].Header.Get("Changeover-Delivery") != id || r.bodies[0] != r.bodies[1] {
		t.Errorf("sent %q, then %q: %s, then %s", id, r.got[1].Header.Get("Changeover-Delivery"), r.bodies[0], r.bodies[1])
	}
	if again := r.at[1].Sub(killed); again > 10*time.Second {
		t.Errorf("it was sent again %s after the kill", again)
	}
	if len(r.got) != 2 || len(h.deliveries(hook)) != 1 {
		t.Errorf("%d requests, %d deliveries", len(r.got), len(h.deliveries(hook)))
	}
}

// A receiver that refuses is tried eleven times in a day, each time later, and
// then no more; another of the same app is not held up by it. Three days of it
// turn the webhook off, with a notice.
func TestDeliveryIsTriedForADay(t *testing.T) {
	t.Parallel()
	r := newReceivers(t, func(path string, _ int) int { return map[bool]int{true: 503, false: 200}[path == "/down"] })
	hooks, err := sender(r.address(), 0)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, func(h *house) { h.hooks = hooks })
	down := h.webhookTo(r, "/down")
	h.writeNotice("Fenced: it")
	var all time.Duration
	for attempt, least := 1, time.Duration(0); ; attempt++ {
		waitUntil(t, "it is tried", func() bool {
			list := h.deliveries(down)
			return len(list) == 1 && list[0].Attempts == attempt
		})
		if h.deliveries(down)[0].State == "failed" {
			if attempt != 11 {
				t.Errorf("it is tried %d times", attempt)
			}
			break
		}
		// What River would wait for comes now.
		var wait float64
		waitUntil(t, "it is to be tried again", func() bool {
			rows, err := h.pool.Query(t.Context(), `select extract(epoch from scheduled_at - attempted_at)::float8 from river_job where kind = 'webhook' and state in ('retryable', 'scheduled')`)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			return rows.Next() && rows.Scan(&wait) == nil
		})
		next := time.Duration(wait * float64(time.Second)).Round(5 * time.Second)
		if next < least {
			t.Errorf("after attempt %d it waits for %s, after %s before", attempt, next, least)
		}
		least, all = next, all+next
		h.tell(`update river_job set state = 'available', scheduled_at = now() where kind = 'webhook' and state in ('retryable', 'scheduled')`)
	}
	if all < 23*time.Hour || all > 25*time.Hour {
		t.Errorf("it was tried for %s, want about a day", all)
	}

	up := h.webhookTo(r, "/up")
	h.setClock(time.Now().Add(73 * time.Hour))
	h.writeNotice("Fenced: another")
	waitUntil(t, "the other one takes it", func() bool {
		list := h.deliveries(up)
		return len(list) > 0 && list[0].State == "taken"
	})
	waitUntil(t, "the webhook is off", func() bool {
		return countOf(h, `select count(*) from webhooks where off_at is not null and id = $1`, down) == 1
	})
	waitUntil(t, "a notice tells of it, to the one that works", func() bool {
		return countOf(h, `select count(*) from webhook_deliveries v join notices n on n.id = v.notice_id
			where n.kind = 'webhook_off' and v.webhook_id = $1 and v.state = 'taken'`, up) == 1
	})
}

// Of a notice about several databases an app may see none any more by the time it
// is delivered: the delivery ends and says so, and nothing is sent.
func TestDeliveryOfWhatTheAppSeesNoMore(t *testing.T) {
	t.Parallel()
	r := newReceivers(t, func(string, int) int { return 503 })
	hooks, err := sender(r.address(), 0)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, func(h *house) { h.hooks = hooks })
	hook := h.webhookTo(r, "/down")
	one, two := dbtest.Database(t, h.pool, h.app.ID, 21000), dbtest.Database(t, h.pool, h.app.ID, 21001)
	if _, err := db.CreateNotice(t.Context(), h.pool, db.NewNotice{Kind: platform.NoticeServerRestarted, Level: platform.NoticeBad, Subject: "Restarted",
		Body: "Found stopped: " + platform.NoticeDatabases + ".", Several: []db.NewNoticePart{{DatabaseID: one.ID}, {DatabaseID: two.ID}}}); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "it is tried", func() bool {
		list := h.deliveries(hook)
		return len(list) == 1 && list[0].Attempts == 1
	})
	waitUntil(t, "it is to be tried again", func() bool {
		return countOf(h, `select count(*) from river_job where kind = 'webhook' and state in ('retryable', 'scheduled')`) == 1
	})
	other := dbtest.App(t, h.pool, "another")
	for _, moved := range []string{`update notice_databases set app_id = $1`, `update databases set app_id = $1`} {
		if _, err := h.pool.Exec(t.Context(), moved, other.ID); err != nil {
			t.Fatal(err)
		}
	}
	h.tell(`update river_job set state = 'available', scheduled_at = now() where kind = 'webhook' and state in ('retryable', 'scheduled')`)
	waitUntil(t, "it ends", func() bool { return h.deliveries(hook)[0].State == "failed" })
	if d := h.deliveries(hook)[0]; !strings.Contains(d.Problem, "Nothing was sent") || d.Attempts != 1 || r.count() != 1 {
		t.Errorf("%+v after %d requests", d, r.count())
	}
}

// Receivers that hang, more than ever was sent to at once, and one with a long
// queue among them, hold up nobody else's deliveries.
func TestMeasuredManyReceiversThatHang(t *testing.T) {
	r := newReceivers(t, func(path string, _ int) int { return map[bool]int{true: 200, false: 0}[path == "/takes"] })
	hooks, err := sender(r.address(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, func(h *house) { h.hooks = hooks })
	var hanging []int64
	for i := range 12 {
		hanging = append(hanging, h.webhookTo(r, fmt.Sprintf("/hangs/%d", i)))
	}
	for i := range 30 {
		h.writeNotice(fmt.Sprintf("Fenced: %d", i))
	}
	waitUntil(t, "all of them hang", func() bool {
		return r.count() >= len(hanging) && countOf(h, `select count(*) from notices where told_at is null`) == 0
	})
	takes := h.webhookTo(r, "/takes")
	written := time.Now()
	h.writeNotice("Fenced: it")
	waitUntil(t, "the one that takes it has it", func() bool {
		list := h.deliveries(takes)
		return len(list) == 1 && list[0].State == "taken"
	})
	if took := time.Since(written); took > 6*time.Second {
		t.Errorf("the one that takes it waited for %s", took)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	flying := map[string]int{}
	for _, request := range r.got {
		if flying[request.URL.Path]++; request.URL.Path != "/takes" && flying[request.URL.Path] > 1 && time.Since(r.at[0]) < 10*time.Second {
			t.Errorf("two deliveries at once to %s", request.URL.Path)
		}
	}
}

// A receiver that takes the request and never answers is let go in time, and
// holds up nobody else's deliveries meanwhile.
func TestMeasuredReceiverThatHangsHoldsUpNobody(t *testing.T) {
	r := newReceivers(t, func(path string, _ int) int { return map[bool]int{true: 0, false: 200}[path == "/hangs"] })
	const within = 10 * time.Second
	hooks, err := sender(r.address(), within)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, func(h *house) { h.hooks = hooks })
	hangs, other := h.webhookTo(r, "/hangs"), h.webhookTo(r, "/takes")
	h.writeNotice("Fenced: it")
	waitUntil(t, "the other one takes it", func() bool {
		list := h.deliveries(other)
		return len(list) == 1 && list[0].State == "taken"
	})
	if list := h.deliveries(hangs); len(list) != 1 || list[0].Attempts != 0 {
		t.Errorf("the one that hangs was waited for: %+v", list)
	}
	waitUntil(t, "the one that hangs is let go", func() bool { return h.deliveries(hangs)[0].Attempts == 1 })
	if d := h.deliveries(hangs)[0]; d.State != "waiting" || !strings.Contains(d.Problem, "did not answer within 10 s") || time.Duration(d.TookMS)*time.Millisecond > within+5*time.Second {
		t.Errorf("%+v", d)
	}
}
