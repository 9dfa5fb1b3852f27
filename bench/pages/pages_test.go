package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// lines sends the benchmark's progress to the test's log.
type lines struct{ t *testing.T }

func (l lines) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// The benchmark itself, small: it is held to what is true on a busy machine,
// too. Times are for the benchmark to tell.
func TestPagesAreMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the whole program: about half a minute")
	}
	s := settings{databases: 500, apps: 20, notices: 1000, samples: 10_000, requests: 2, browsers: 40, watch: 3 * time.Second, logger: lines{t}}
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := report(t.Context(), s, &out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	all := strings.Split(strings.TrimSpace(out.String()), "\n")
	var line struct {
		Bench        string
		P99          float64 `json:"p99_ms"`
		WorstPage    string  `json:"worst_page"`
		LagAge       float64 `json:"lag_age_ms"`
		LagAgeP50    float64 `json:"lag_age_p50_ms"`
		RSS          float64 `json:"rss_mib"`
		Disconnected int
		Pages        map[string]struct {
			P50     float64 `json:"p50_ms"`
			Queries float64
		}
	}
	if err := json.Unmarshal([]byte(all[len(all)-1]), &line); err != nil {
		t.Fatalf("the last line is not JSON: %v", err)
	}
	if line.Bench != "pages" || line.P99 <= 0 || line.Pages[line.WorstPage].P50 <= 0 || line.RSS <= 0 {
		t.Errorf("figures are missing: %+v", line)
	}
	if line.LagAgeP50 <= 0 || line.LagAge < line.LagAgeP50 || line.LagAge > 30_000 || line.Disconnected != 0 {
		t.Errorf("lag %v ms old at the median, %v at worst; %d browsers lost", line.LagAgeP50, line.LagAge, line.Disconnected)
	}
	// What a page asks the control database does not grow with the house, and not
	// by itself: whoever adds a question looks for one to add it to.
	for name, p := range line.Pages {
		most, known := mostQueries[name]
		switch {
		case !known:
			t.Errorf("mostQueries does not say how many questions %s may ask; it asks %v", name, p.Queries)
		case p.Queries > most || p.Queries < 1:
			t.Errorf("%s asks the control database %v questions, want at most %v", name, p.Queries, most)
		case p.Queries < most-1:
			t.Errorf("%s asks the control database %v questions only: lower its bound of %v", name, p.Queries, most)
		}
	}
	if len(line.Pages) != len(mostQueries) {
		t.Errorf("%d pages were measured, mostQueries has %d", len(line.Pages), len(mostQueries))
	}
}

// mostQueries is how many questions to the control database each page asks: who
// asks, what the path names and what stands beside every page are three of them.
var mostQueries = map[string]float64{
	"databases": 4, "databases, attention": 4, "databases, search": 5, "new database": 3,
	"database, real leader": 15, "database, real follower": 11,
	"database, 4 followers": 15, "database, 4 followers, a day": 15, "database, follower, a day": 11,
	"new follower": 5, "change plan": 22, "unfollow": 5, "promote": 5, "fence": 5, "destroy database": 5,
	"apps": 4, "app": 12, "destroy app": 4, "operation": 15,
	"notices": 6, "notices, unread": 6, "notices, old": 5, "notice": 9,
	"audit": 6, "audit, search": 6, "audit, search for nothing": 6, "audit, old": 6,
	"plans": 2, "search": 3, "settings": 6,
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args  string
		fails bool
	}{
		{"", false},
		{"-samples 1000 -notices 100", false},
		{"-databases 20", true},  // not four for each app
		{"-databases 100", true}, // too few for so many followers
		{"-browsers 0", true},
		{"-watch now", true},
	} {
		s, err := parse(strings.Fields(tt.args))
		if (err != nil) != tt.fails {
			t.Errorf("%q: %v", tt.args, err)
		}
		if err == nil && s.followers()*s.samplesEach() > s.samples {
			t.Errorf("%q: %d followers with %d samples each", tt.args, s.followers(), s.samplesEach())
		}
	}
}

func TestLagTime(t *testing.T) {
	plain := `{"topic":"database:1","fragments":["<span data-series=\"a\" data-at=\"1764000000123\">"]}`
	if at := lagTime([]byte(plain), false); at != 1764000000123 {
		t.Errorf("read %d", at)
	}
	if at := lagTime([]byte(`{"topic":"ping"}`), false); at != 0 {
		t.Errorf("a message without a lag has %d", at)
	}
	if at := lagTime([]byte("no deflate"), true); at != 0 {
		t.Errorf("what cannot be unpacked has %d", at)
	}
}
