// Command upgrade measures the switch of an upgrade in the real program beside
// the same switch made by a script, in one run and in turns: what eight writers
// with direct connections see of it, and whether anything that was acknowledged
// is missing afterwards. docs/benchmarks.md tells what is measured and how.
//
// The last line of its output is one JSON object. The exit status is 0 whenever
// it measured, whatever the figures are.
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"changeover/bench/program"
	"changeover/bench/switching"
)

func main() { benchmark.Main() }

var benchmark = switching.Benchmark{
	Name: "upgrade", Title: "The switch of an upgrade",
	New: func(p *switching.Product) switching.Side { return &side{Product: p} },
}

// side upgrades its database to the other plan and back.
type side struct {
	*switching.Product
	operation   int64
	replacement string // its URL; the database has it as its own after the switch
	keeps       bool   // the server of the last switch is kept for switching back
}

// preparedWithin is how long a replacement may take until it waits for its window.
const preparedWithin = 10 * time.Minute

// URLs are the database's own and its replacement's.
func (s *side) URLs() (old, new string) { return s.Leader.URL, s.replacement }

// Prepare destroys what the last upgrade kept, starts the next and waits until
// the replacement waits for its window.
func (s *side) Prepare(ctx context.Context) error {
	if s.keeps {
		if _, err := s.API.Start(ctx, "/databases/"+s.Leader.Name+"/destroy-old-server", url.Values{"confirm": {s.App}}); err != nil {
			return err
		}
		s.keeps = false
	}
	if err := s.WaitUntilFollowable(ctx); err != nil {
		return err
	}
	var started program.Started
	form := url.Values{"plan": {switching.Plans[1-s.Plan]}, "when": {"window"}}
	if err := s.API.Call(ctx, http.MethodPost, "/databases/"+s.Leader.Name+"/upgrade", form, &started); err != nil {
		return err
	}
	s.operation = started.Operation
	ctx, cancel := context.WithTimeout(ctx, preparedWithin)
	defer cancel()
	op, err := s.API.Await(ctx, s.operation, func(o program.Operation) bool {
		scheduled := o.Step("schedule")
		return scheduled != nil && scheduled.MS != nil || o.State == "undone" || o.State == "completed" || o.NeedsPerson
	})
	if err != nil {
		return err
	}
	if op.State != "running" {
		return fmt.Errorf("upgrade %d is %s: %s %s", op.ID, op.State, op.Reason, op.Story())
	}
	s.replacement, err = besides(s.Leader.URL, op)
	return err
}

// besides is the URL of the replacement that an upgrade prepares: until the
// switch nobody is told it, and it differs from the database's in the port alone.
func besides(database string, upgrade program.Operation) (string, error) {
	reserved := upgrade.Step("reserve_server")
	if reserved == nil {
		return "", fmt.Errorf("upgrade %d reserves no server: %s", upgrade.ID, upgrade.Story())
	}
	var port int
	if _, err := fmt.Sscanf(reserved.Detail, "Port %d ", &port); err != nil {
		return "", fmt.Errorf("which port the replacement has does not stand in %q", reserved.Detail)
	}
	u, err := url.Parse(database)
	if err != nil {
		return "", fmt.Errorf("the URL of the database is none")
	}
	u.Host = fmt.Sprintf("%s:%d", u.Hostname(), port)
	return u.String(), nil
}

// Switch runs the maintenance now.
func (s *side) Switch(ctx context.Context) (switching.Outcome, error) {
	id, err := s.maintenance(ctx)
	if err != nil {
		return switching.Outcome{}, err
	}
	if err := s.API.Call(ctx, http.MethodPost, fmt.Sprintf("/maintenances/%d/run", id), url.Values{}, nil); err != nil {
		return switching.Outcome{}, err
	}
	done, err := s.API.Finish(ctx, s.operation)
	if err != nil {
		return switching.Outcome{}, err
	}
	now, err := s.Reveal(ctx, s.Leader.Name)
	if err != nil {
		return switching.Outcome{}, err
	}
	if now.URL != s.replacement {
		return switching.Outcome{}, fmt.Errorf("after upgrade %d the database is elsewhere than its replacement was", done.ID)
	}
	s.Leader, s.keeps = now, true
	s.Plan = 1 - s.Plan
	return switching.OutcomeOf(done), nil
}

// maintenance is the id of the operation's maintenance.
func (s *side) maintenance(ctx context.Context) (int64, error) {
	var coming []struct {
		ID        int64 `json:"id"`
		Operation int64 `json:"operation"`
	}
	if err := s.API.Call(ctx, http.MethodGet, "/maintenances", nil, &coming); err != nil {
		return 0, err
	}
	for _, m := range coming {
		if m.Operation == s.operation {
			return m.ID, nil
		}
	}
	return 0, fmt.Errorf("no maintenance of operation %d is to come", s.operation)
}
