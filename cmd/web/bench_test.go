package main

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"changeover/internal/db/dbtest"
)

// BenchmarkDatabaseIndex is the list of 500 databases, the bar being 50 ms.
func BenchmarkDatabaseIndex(b *testing.B) {
	pool := dbtest.New(b)
	_, err := pool.Exec(b.Context(), `
		insert into apps (name) select 'app-' || g from generate_series(1, 100) g;
		insert into databases (name, app_id, plan, state, major, database_name, role_name, password_sealed)
			select 'postgresql-row-' || lpad(g::text, 5, '0'), 1 + g % 100, 'standard-0', 'available', 15, 'd', 'r', '' from generate_series(1, 500) g;
		update databases set following_id = id - 1 where id % 5 = 0;
		insert into attachments (app_id, database_id, name) select app_id, id, 'HEROKU_POSTGRESQL_C' || id from databases;
		insert into readings (database_id, answers, data_bytes, connections, version, lag_known, lag_at)
			select id, true, 1e9, 20, '15.18', true, now() from databases`)
	if err != nil {
		b.Fatal(err)
	}
	s := newSiteOn(b, nil, pool)
	v := s.signedIn(b, "someone@example.com")
	for b.Loop() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.url+"/databases", nil)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := v.client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || n < 100000 {
			b.Fatal(fmt.Errorf("%d, %d bytes: %w", answer.StatusCode, n, err))
		}
	}
}

// BenchmarkConfigVars is what an app polls during a switch, the bar being 2 ms.
func BenchmarkConfigVars(b *testing.B) {
	s := newSite(b, nil)
	token := s.token(b)
	apiRequest(b, s, "POST", "/apps", token, "name=sushi")
	apiRequest(b, s, "POST", "/apps/sushi/config-vars", token, "name=LOG_LEVEL&value=debug")
	for b.Loop() {
		if status, body := apiRequest(b, s, "GET", "/apps/sushi/config-vars", token, ""); status != http.StatusOK {
			b.Fatal(status, body)
		}
	}
}
