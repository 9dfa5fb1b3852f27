package program

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

// API speaks to the program as any script with a token does.
type API struct {
	base   string // http://127.0.0.1:port
	token  string
	client *http.Client
}

// NewAPI is for the program that answers at base, such as http://127.0.0.1:8090.
func NewAPI(base, token string) *API {
	return &API{base: base, token: token, client: &http.Client{
		// The writers' questions share one kept-alive connection with the rest.
		Transport: &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute},
		Timeout:   30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // an answer for browsers: shown as the error that it is
		},
	}}
}

// Call sends a form, or nothing when form is nil, and reads the JSON answer into
// answer, unless that is nil; a *string gets it as it is.
func (a *API) Call(ctx context.Context, method, path string, form url.Values, answer any) error {
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
	if text, ok := answer.(*string); ok {
		*text = string(data)
		return nil
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// Text is what GET answers, as it is.
func (a *API) Text(ctx context.Context, path string) (text string, err error) {
	err = a.Call(ctx, http.MethodGet, path, nil, &text)
	return text, err
}

// Operation is what GET /operations/:id says.
type Operation struct {
	ID          int64  `json:"id"`
	State       string `json:"state"`
	Reason      string `json:"reason"`
	Database    string `json:"database"`
	Target      string `json:"target"`
	Steps       []Step `json:"steps"`
	NeedsPerson bool   `json:"needs_person"`
	Switch      *struct {
		OutageMS *float64 `json:"outage_ms"`
		HeldMS   *float64 `json:"held_ms"`
	} `json:"switch"`
}

// Step is one step of it; MS is nil before it has ended.
type Step struct {
	Name     string   `json:"name"`
	State    string   `json:"state"`
	Detail   string   `json:"detail"`
	Downtime bool     `json:"downtime"` // the app cannot write in it
	MS       *float64 `json:"ms"`

	StartedAt time.Time `json:"started_at"` // zero before it has begun
}

// Started is what a request that starts an operation is answered with.
type Started struct {
	Operation int64  `json:"operation"`
	Database  string `json:"database"`
}

// Start sends a form that starts an operation and waits for its end.
func (a *API) Start(ctx context.Context, path string, form url.Values) (Operation, error) {
	var started Started
	if err := a.Call(ctx, http.MethodPost, path, form, &started); err != nil {
		return Operation{}, err
	}
	return a.Finish(ctx, started.Operation)
}

// operationsEndWithin is how long an operation may take.
const operationsEndWithin = 5 * time.Minute

// Finish waits until an operation has ended. One that was put back, or that
// waits for a person, is an error.
func (a *API) Finish(ctx context.Context, id int64) (Operation, error) {
	ctx, cancel := context.WithTimeout(ctx, operationsEndWithin)
	defer cancel()
	o, err := a.Await(ctx, id, func(o Operation) bool { return o.State == "completed" || o.State == "undone" || o.NeedsPerson })
	if err == nil && o.State != "completed" {
		err = fmt.Errorf("operation %d is %s: %s %s", o.ID, o.State, o.Reason, o.Story())
	}
	return o, err
}

// Await looks at an operation until it is as wanted.
func (a *API) Await(ctx context.Context, id int64, wanted func(Operation) bool) (Operation, error) {
	for {
		var o Operation
		if err := a.Call(ctx, http.MethodGet, fmt.Sprintf("/operations/%d", id), nil, &o); err != nil || wanted(o) {
			return o, err
		}
		select {
		case <-ctx.Done():
			return o, fmt.Errorf("operation %d goes on for too long: %w: %s", id, ctx.Err(), o.Story())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Reveal is the URL of a database, with its password.
func (a *API) Reveal(ctx context.Context, database string) (string, error) {
	var revealed struct {
		URL string `json:"url"`
	}
	err := a.Call(ctx, http.MethodPost, "/databases/"+database+"/url", url.Values{}, &revealed)
	if err == nil && revealed.URL == "" {
		err = fmt.Errorf("the URL of %s is empty", database)
	}
	return revealed.URL, err
}

// Step is a step of an operation by its stored name; nil when there is none.
func (o Operation) Step(name string) *Step {
	for i := range o.Steps {
		if o.Steps[i].Name == name {
			return &o.Steps[i]
		}
	}
	return nil
}

// Story is the steps in one line, for an error.
func (o Operation) Story() string {
	var parts []string
	for _, s := range o.Steps {
		parts = append(parts, strings.TrimSpace(s.Name+" "+s.State+" "+s.Detail))
	}
	return "[" + strings.Join(parts, "; ") + "]"
}
