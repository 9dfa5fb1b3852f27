package main

import (
	"strings"
	"testing"
	"time"

	"changeover/internal/db"
)

// A token of the scope read is refused on every route that changes something,
// before anything is looked up.
func TestReadTokensChangeNothing(t *testing.T) {
	e := newEstate(t)
	var err error
	if e.token, _, err = db.CreateReadToken(t.Context(), e.pool, e.userNamed(t, "admin@example.com").ID, "looks", 0); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, r := range e.routes() {
		if r.method == get {
			continue
		}
		tried++
		e.ask(t, theToken, r.method, e.path(r.path), nil)
		if v := e.visits[theToken]; v.status != 403 || !strings.Contains(v.body, "may only read") {
			t.Errorf("%s %s: %d %s", r.method, r.path, v.status, v.body)
		}
	}
	if tried < 30 {
		t.Errorf("only %d routes change something", tried)
	}
	e.ask(t, theToken, get, "/apps/sushi", nil)
	if e.visits[theToken].status != 200 {
		t.Errorf("reading: %d", e.visits[theToken].status)
	}
}

func TestTokenIsMadeShownOnceAndRevoked(t *testing.T) {
	s := newSite(t, nil)
	v := s.signedIn(t, "mei@example.com")
	v.get("/settings")
	for field, value := range map[string]string{"token_name": " ", "token_days": "100000", "token_scope": "everything"} {
		v.submit("/settings/tokens", "token_name", "deploy of sushi", field, value)
		v.want(422, "/settings/tokens")
		if v.page.Find("[data-testid=error-"+field+"]").Length() != 1 {
			t.Errorf("%s=%q: no error there", field, value)
		}
	}
	v.submit("/settings/tokens", "token_name", "deploy of sushi", "token_scope", "full", "token_days", "30")
	v.want(200, "/settings/tokens")
	token := v.page.Find("[data-testid=new-token]").Text()
	v.get("/settings")
	if token == "" || strings.Contains(v.body, token) {
		t.Fatalf("the token %q is not shown, or shown twice", token)
	}
	v.wantText("deploy of sushido all that you may")
	s.wantSecretNowhere(t, map[string]string{"the token": token})
	if status, body := apiRequest(t, s, get, "/apps", token, ""); status != 200 {
		t.Errorf("used: %d %s", status, body)
	}
	list, err := db.ListAPITokens(t.Context(), s.pool, s.userNamed(t, "mei@example.com").ID)
	if err != nil || len(list) != 1 || list[0].LastUsedAt == nil || list[0].ExpiresAt == nil {
		t.Fatalf("kept %+v, %v", list, err)
	}
	if life := list[0].ExpiresAt.Sub(list[0].CreatedAt); life != 30*24*time.Hour {
		t.Errorf("good for %s", life)
	}
	if status, _ := apiRequest(t, s, post, "/settings/tokens", token, `{"token_name": "one more"}`); status != 403 {
		t.Errorf("a token made by a token: %d", status)
	}
	if _, err := s.pool.Exec(t.Context(), `update api_tokens set expires_at = now()`); err != nil {
		t.Fatal(err)
	}
	if status, _ := apiRequest(t, s, get, "/apps", token, ""); status != 401 {
		t.Errorf("after its end: %d", status)
	}
	v.submit("/settings/tokens", "token_name", "another")
	second := v.page.Find("[data-testid=new-token]").Text()
	v.get("/settings")
	button := v.page.Find("[data-testid^=revoke-]").First().AttrOr("formaction", "")
	v.submit(button)
	v.want(200, "/settings")
	if status, _ := apiRequest(t, s, get, "/apps", second, ""); status != 401 {
		t.Errorf("after it was revoked: %d", status)
	}
}
