package local_test

import (
	"testing"

	"changeover/internal/platform/platformtest"
)

func TestFollowerStreams(t *testing.T) {
	p := platformtest.New(t)
	leader := p.Leader(t, "standard-0")
	app := leader.Connect(t)
	if _, err := app.Exec(t.Context(), "create table notes (id int primary key, body text); insert into notes select g, 'note' from generate_series(1, 1000) g"); err != nil {
		t.Fatal(err)
	}
	follower := p.Follower(t, leader)
	if got := platformtest.Query(t, follower.Connect(t), "select count(*)::text || pg_is_in_recovery()::text from notes"); got != "1000true" {
		t.Errorf("the follower has %s, want 1000true", got)
	}
}
