package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// api speaks to the program as any script with a token does.
type api struct {
	base   string // http://127.0.0.1:port
	token  string
	client *http.Client
}

func newAPI(base, token string) *api {
	return &api{base: base, token: token, client: &http.Client{
		// The writers' questions share one kept-alive connection with the rest.
		Transport: &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute},
		Timeout:   30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // an answer for browsers: shown as the error that it is
		},
	}}
}

// call sends a form, or nothing when form is nil, and reads the JSON answer into answer.
func (a *api) call(ctx context.Context, method, path string, form url.Values, answer any) error {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("Accept", "application/json")
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, data[:min(len(data), 500)])
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// operation is what GET /operations/:id says.
type operation struct {
	ID       int64  `json:"id"`
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Database string `json:"database"`
	Steps    []struct {
		Name   string   `json:"name"`
		State  string   `json:"state"`
		Detail string   `json:"detail"`
		MS     *float64 `json:"ms"`
	} `json:"steps"`
	NeedsPerson bool `json:"needs_person"`
	Switch      *struct {
		OutageMS *float64 `json:"outage_ms"`
	} `json:"switch"`
}

// start sends a form that starts an operation and waits for its end.
func (a *api) start(ctx context.Context, path string, form url.Values) (operation, error) {
	var started struct {
		Operation int64 `json:"operation"`
	}
	if err := a.call(ctx, http.MethodPost, path, form, &started); err != nil {
		return operation{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		var o operation
		err := a.call(ctx, http.MethodGet, fmt.Sprintf("/operations/%d", started.Operation), nil, &o)
		switch {
		case err != nil:
			return o, err
		case o.State == "completed":
			return o, nil
		case o.State == "undone" || o.NeedsPerson:
			return o, fmt.Errorf("operation %d is %s: %s %s", o.ID, o.State, o.Reason, o.story())
		}
		select {
		case <-ctx.Done():
			return o, fmt.Errorf("operation %d goes on for too long: %s", o.ID, o.story())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// story is the steps in one line, for an error.
func (o operation) story() string {
	var parts []string
	for _, s := range o.Steps {
		parts = append(parts, strings.TrimSpace(s.Name+" "+s.State+" "+s.Detail))
	}
	return "[" + strings.Join(parts, "; ") + "]"
}

// outcome is a changeover's steps with their times.
func (o operation) outcome() outcome {
	down := map[string]bool{"fence_writes": true, "wait_until_zero_behind": true, "unfollow": true, "check_writable": true, "promote": true}
	var result outcome
	for _, s := range o.Steps {
		if s.MS != nil {
			result.steps = append(result.steps, step{s.Name, time.Duration(*s.MS * float64(time.Millisecond)), down[s.Name]})
		}
	}
	if o.Switch != nil && o.Switch.OutageMS != nil {
		result.claimedMS = *o.Switch.OutageMS
	}
	return result
}
