package main

import (
	"encoding/json"
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
	"changeover/internal/platform/webhook"
)

// receiver is somebody's server that takes deliveries.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	got    []http.Header
	bodies [][]byte
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: 200}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got, r.bodies = append(r.got, request.Header), append(r.bodies, body)
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, "thanks")
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) last(t *testing.T, n int) (http.Header, []byte) {
	t.Helper()
	await(t, 20*time.Second, "a delivery", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.got) >= n
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got[n-1], r.bodies[n-1]
}

func hookSite(t *testing.T) (*site, *receiver) {
	t.Helper()
	r := newReceiver(t)
	s := newSite(t, map[string]string{"CHANGEOVER_OUTGOING_ALLOW": strings.TrimPrefix(r.URL, "http://")})
	s.startJobs(t)
	return s, r
}

func signedWith(header http.Header, body []byte, secret string) bool {
	var at int64
	for part := range strings.SplitSeq(header.Get(webhook.SignatureHeader), ",") {
		if text, ok := strings.CutPrefix(part, "t="); ok {
			at = must64(text)
		}
	}
	want := strings.SplitN(webhook.Sign(time.Unix(at, 0), body, secret), ",", 2)[1]
	return strings.Contains(header.Get(webhook.SignatureHeader), want)
}

func must64(text string) int64 {
	var n int64
	_ = json.Unmarshal([]byte(text), &n)
	return n
}

func TestWebhooks(t *testing.T) {
	s, r := hookSite(t)
	sushi, ramen := dbtest.App(t, s.pool, "sushi"), dbtest.App(t, s.pool, "ramen")
	v := s.signedInAs(t, "cook@example.com", false)
	s.give(t, "cook@example.com", sushi.ID, platform.RoleManage)
	list := "/apps/sushi/webhooks"
	for typed, says := range map[string]string{"http://127.0.0.1:1/": "CHANGEOVER_OUTGOING_ALLOW", "ftp://x": "https:// or http://", "https://me:secret@hooks.example.com": "user name or a password"} {
		v.get(list)
		v.submit(list, "url", typed)
		v.wantText(says)
	}
	v.get(list)
	v.submit(list, "url", r.URL+"/planted-hook-path", "which", "needs")
	v.want(200, list)
	v.wantText("whoever is on the way can read every notice")
	secret := v.page.Find("[data-testid=new-secret]").Text()
	if len(secret) < 40 {
		t.Fatalf("the secret is %q", secret)
	}
	page := "/webhooks/1"
	v.get(page)
	if strings.Contains(v.body, secret) {
		t.Error("the secret is shown again")
	}
	v.submit(page + "/test")
	v.wantText("took the test: it answered 200 after")
	v.wantText("thanks")
	header, body := r.last(t, 1)
	if header.Get("Changeover-Kind") != "test" || !signedWith(header, body, secret) || signedWith(header, body, "another") {
		t.Errorf("the test came with %v and %s", header, body)
	}

	// What it gets: this app's, those that need a person, each once.
	s.write(t, db.NewNotice{Kind: platform.NoticeFenced, AppID: &ramen.ID})
	s.write(t, db.NewNotice{Kind: platform.NoticeMaintenanceDone, AppID: &sushi.ID})
	id := s.write(t, db.NewNotice{Kind: platform.NoticeFenced, AppID: &sushi.ID, Figures: []platform.Figure{{Label: "Behind by", Value: "3", Unit: "MB"}}})
	header, body = r.last(t, 2)
	var got struct {
		Version     int
		Kind, App   string
		NeedsPerson bool `json:"needs_person"`
		URL         string
		Figures     []platform.Figure
	}
	if err := json.Unmarshal(body, &got); err != nil || got.Version != 1 || got.Kind != "fenced" || got.App != "sushi" || !got.NeedsPerson ||
		!strings.HasSuffix(got.URL, noticePath(id)) || len(got.Figures) != 1 || !signedWith(header, body, secret) {
		t.Errorf("got %s, %v", body, err)
	}

	// A new secret signs beside the old one.
	v.get(page)
	v.submit(page + "/secret")
	fresh := v.page.Find("[data-testid=new-secret]").Text()
	v.get(page)
	v.submit(page + "/test")
	if header, body := r.last(t, 3); fresh == secret || !signedWith(header, body, fresh) || !signedWith(header, body, secret) {
		t.Errorf("after the change: %v", header)
	}

	// Refused: it waits and shows why, then comes again.
	r.answer(500)
	s.write(t, db.NewNotice{Kind: platform.NoticeFenced, AppID: &sushi.ID})
	r.last(t, 4)
	// The page reads the webhook a moment before its deliveries.
	await(t, 20*time.Second, "the page says why", func() bool {
		v.get(page)
		return strings.Contains(v.body, "answered 500 and has not taken it") && strings.Contains(v.body, "Fails")
	})
	v.wantText("Waits")
	v.wantText("The address begins with http://")
	r.answer(200)
	await(t, 40*time.Second, "it is taken", func() bool { v.get(page); return strings.Contains(v.body, "2 attempts") })
	v.submit(page + "/deliveries/2/again")
	r.last(t, 6)
	// Taken is written down after the answer, and says that nothing fails.
	await(t, 20*time.Second, "it is written down", func() bool {
		v.get(page)
		return strings.Count(v.page.Find("[data-testid=deliveries]").Text(), "Taken") == 5
	})

	// Failing for days turns it off, and so does 410; both with a notice.
	for _, c := range []struct {
		status int
		since  string
	}{{500, "4 days"}, {410, "0 days"}} {
		r.answer(c.status)
		if _, err := s.pool.Exec(t.Context(), `update webhooks set failing_since = now() - $1::interval`, c.since); err != nil {
			t.Fatal(err)
		}
		v.get(page)
		v.submit(page + "/test")
		v.wantText("Off")
		list, err := db.ListNotices(t.Context(), s.pool, 0, platform.Everything(), db.NoticeFilter{AppID: sushi.ID, Kind: platform.NoticeWebhookOff})
		if err != nil || len(list) == 0 || list[0].Level != platform.NoticeWarn {
			t.Fatalf("%d: notices %+v, %v", c.status, list, err)
		}
		v.submit(page + "/on")
		v.wantText("on again")
	}
	s.wantSecretNowhere(t, map[string]string{"the secret": secret, "the new one": fresh, "the address's path": "planted-hook-path"})
	v.get(page)
	v.submit(page + "/remove")
	v.want(200, list)
	v.wantText("No webhook yet")
}
