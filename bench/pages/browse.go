package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"changeover/bench/program"
)

// askedPage is a page with the pattern of its route, by which the program
// counts its questions to the control database.
type askedPage struct{ title, path, route string }

// pagesOf is every page that reads something, each in its heaviest shape.
func pagesOf(h house, real pair) []askedPage {
	d := func(name, rest string) string { return "/databases/" + name + rest }
	const database = "/databases/:database"
	return []askedPage{
		{"databases", "/databases", "/databases"},
		{"databases, attention", "/databases?filter=attention", "/databases"},
		{"databases, search", "/databases?q=cobalt", "/databases"},
		{"new database", "/databases/new", "/databases/new"},
		{"database, real leader", d(real.leader, ""), database},
		{"database, real follower", d(real.follower, ""), database},
		{"database, 4 followers", d(h.hub, ""), database},
		{"database, 4 followers, a day", d(h.hub, "?range=24h"), database},
		{"database, follower, a day", d(h.follower, "?range=24h"), database},
		{"new follower", d(h.leader, "/followers/new"), database + "/followers/new"},
		{"change plan", d(real.leader, "/change-plan"), database + "/change-plan"},
		{"unfollow", d(real.follower, "/unfollow"), database + "/unfollow"},
		{"promote", d(real.follower, "/promote"), database + "/promote"},
		{"fence", d(real.leader, "/fence"), database + "/fence"},
		{"destroy database", d(h.hub, "/destroy"), database + "/destroy"},
		{"apps", "/apps", "/apps"},
		{"app", "/apps/" + h.app, "/apps/:app"},
		{"destroy app", "/apps/" + h.app + "/destroy", "/apps/:app/destroy"},
		{"operation", "/operations/" + strconv.FormatInt(h.changed, 10), "/operations/:id"},
		{"notices", "/notices", "/notices"},
		{"notices, unread", "/notices?filter=unread", "/notices"},
		{"notices, old", "/notices?before=500", "/notices"},
		{"notice", "/notices/77", "/notices/:id"},
		{"audit", "/audit", "/audit"},
		{"audit, search", "/audit?q=postgresql-amber", "/audit"},
		{"audit, search for nothing", "/audit?q=no+such+thing", "/audit"},
		{"audit, old", "/audit?before=500", "/audit"},
		{"plans", "/plans", "/plans"},
		{"search", "/search?q=amber", "/search"},
		{"settings", "/settings", "/settings"},
	}
}

// pageFigures is what one page took. Times are in milliseconds.
type pageFigures struct {
	Page    string  `json:"page"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Worst   float64 `json:"worst_ms"`
	Queries float64 `json:"queries"`
	Bytes   int64   `json:"bytes"` // as sent, compressed
}

// measurePages asks for every page, rounds times, one request after the other;
// each round asks for all of them, so that what else the machine does is spread
// over all. The first ones are not counted: they make connections.
func measurePages(ctx context.Context, base string, session *http.Cookie, api *program.API, pages []askedPage, rounds int) ([]pageFigures, error) {
	b := &reader{base: base, session: session, client: &http.Client{
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 1},
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	figures := make([]pageFigures, len(pages))
	took := make([][]float64, len(pages))
	const warmUp = 3
	for round := range warmUp + rounds {
		for i, p := range pages {
			start := time.Now()
			bytes, err := b.get(ctx, p.path)
			if err != nil {
				return nil, err
			}
			if round >= warmUp {
				took[i] = append(took[i], float64(time.Since(start).Microseconds())/1000)
			}
			figures[i].Page, figures[i].Bytes = p.title, bytes
		}
	}
	for i, p := range pages {
		slices.Sort(took[i])
		figures[i].P50, figures[i].P99, figures[i].Worst = quantile(took[i], 0.5), quantile(took[i], 0.99), took[i][len(took[i])-1]
		var err error
		if figures[i].Queries, err = b.queriesOf(ctx, api, p); err != nil {
			return nil, err
		}
	}
	return figures, nil
}

// quantile of sorted values: the smallest that is at least as large as that
// part of them.
func quantile(sorted []float64, q float64) float64 {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// reader is somebody who is signed in and reads pages.
type reader struct {
	base    string
	session *http.Cookie
	client  *http.Client
}

// get reads a page to its end and returns its size as it was sent.
func (r *reader) get(ctx context.Context, path string) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path, nil)
	if err != nil {
		return 0, err
	}
	request.AddCookie(r.session)
	request.Header.Set("Accept", "text/html")
	request.Header.Set("Accept-Encoding", "gzip")
	response, err := r.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return n, err
}

// queriesOf asks for the page a few times more and reads from the program's
// metrics how many questions to the control database that was, each.
func (r *reader) queriesOf(ctx context.Context, api *program.API, p askedPage) (float64, error) {
	requests, queries, err := counted(ctx, api, p.route)
	if err != nil {
		return 0, err
	}
	for range 5 {
		if _, err := r.get(ctx, p.path); err != nil {
			return 0, err
		}
	}
	moreRequests, moreQueries, err := counted(ctx, api, p.route)
	if err == nil && moreRequests <= requests {
		err = fmt.Errorf("the program did not count its requests of %s", p.route)
	}
	return (moreQueries - queries) / (moreRequests - requests), err
}

func counted(ctx context.Context, api *program.API, route string) (requests, queries float64, err error) {
	metrics, err := api.Text(ctx, "/metrics")
	if err != nil {
		return 0, 0, err
	}
	label := `{route="GET ` + route + `"} `
	for lines := bufio.NewScanner(strings.NewReader(metrics)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), label)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, 0, err
		}
		switch name {
		case "changeover_requests_total":
			requests = n
		case "changeover_request_queries_total":
			queries = n
		}
	}
	return requests, queries, nil
}

// topicsOf is what the page's own script would watch.
func (r *reader) topicsOf(ctx context.Context, path string) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path, nil)
	if err != nil {
		return nil, err
	}
	request.AddCookie(r.session)
	response, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	_, rest, ok := strings.Cut(string(body), `data-topics="`)
	topics, _, ends := strings.Cut(rest, `"`)
	if !ok || !ends {
		return nil, fmt.Errorf("%s says nothing about what it watches", path)
	}
	return strings.Fields(topics), nil
}

// socketURL is where the live connection is.
func (r *reader) socketURL() string {
	u, err := url.Parse(r.base)
	if err != nil {
		return ""
	}
	u.Scheme, u.Path = "ws", "/live"
	return u.String()
}
