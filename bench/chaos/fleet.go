package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"changeover/bench/program"
)

// plans are what upgrades go to and come back from; followers are on the first.
var plans = [2]string{"standard-2", "standard-3"}

// fleet is which databases the app has.
type fleet struct {
	leader   string
	follower string // "" while there is none
	fenced   string // the leader of before a changeover, until it is destroyed
	plan     int    // of the leader, index of plans
	kept     bool   // an old server is kept for switching back
	stage    int    // which switch comes next
}

// task is one operation that the trial starts.
type task struct {
	name string
	path string
	form url.Values
	// switches: another server takes the leader's place.
	switches bool
	// ended is told what the operation made of it.
	ended func(t *trial, target string, completed bool)
}

// next is what comes next: there and back by each kind of switch.
func (f *fleet) next() task {
	sure := url.Values{"confirm": {appName}}
	switch {
	case f.fenced != "":
		return task{name: "destroy", path: "/databases/" + f.fenced + "/destroy", form: sure, ended: func(t *trial, _ string, completed bool) {
			if completed {
				t.fleet.fenced = ""
			}
		}}
	case f.follower == "":
		return task{name: "create follower", path: "/databases/" + f.leader + "/followers", form: url.Values{"app": {appName}, "plan": {plans[0]}},
			ended: func(t *trial, made string, completed bool) {
				if completed {
					t.fleet.follower = made
				}
			}}
	}
	switch f.stage {
	case 0:
		return task{name: "changeover", path: "/databases/" + f.leader + "/changeover", switches: true,
			form: url.Values{"follower": {f.follower}, "confirm_jobs": {"true"}}, ended: (*trial).changedOver}
	case 1:
		return task{name: "upgrade", path: "/databases/" + f.leader + "/upgrade", switches: true,
			form: url.Values{"plan": {plans[1-f.plan]}, "when": {"window"}}, ended: (*trial).switched}
	case 2:
		return task{name: "switch back", path: "/databases/" + f.leader + "/switch-back", form: url.Values{}, switches: true, ended: (*trial).switched}
	}
	return task{name: "destroy old server", path: "/databases/" + f.leader + "/destroy-old-server", form: sure, ended: func(t *trial, _ string, completed bool) {
		if completed {
			t.fleet.kept, t.fleet.stage = false, 0
		}
	}}
}

func (t *trial) changedOver(_ string, completed bool) {
	if completed {
		f := &t.fleet
		f.fenced, f.leader, f.follower, f.plan = f.leader, f.follower, "", 0
		f.stage = 1
	}
}

func (t *trial) switched(_ string, completed bool) {
	if completed {
		t.fleet.plan, t.fleet.kept = 1-t.fleet.plan, true
		t.fleet.stage++
	}
}

// startsWithin is how long a request may be refused: a leader must have had its
// first full checkpoint before it is followed, and the like.
const startsWithin = 3 * time.Minute

// start begins the task's operation, as soon as the program lets it.
func (t *trial) start(ctx context.Context, k task) (started program.Started, err error) {
	ctx, cancel := context.WithTimeout(ctx, startsWithin)
	defer cancel()
	for {
		if err = t.api.Call(ctx, http.MethodPost, k.path, k.form, &started); err == nil {
			return started, nil
		}
		select {
		case <-ctx.Done():
			return started, fmt.Errorf("%s is still refused after %s: %w", k.name, startsWithin, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// runNow presses "run now" of an upgrade whenever it waits for a time: once it is
// there, and again where its switch was put back.
func (t *trial) runNow(ctx context.Context, operation int64) {
	for ctx.Err() == nil {
		var coming []struct {
			ID        int64  `json:"id"`
			Operation int64  `json:"operation"`
			State     string `json:"state"`
			AtOnce    bool   `json:"at_once"`
		}
		if t.api.Call(ctx, http.MethodGet, "/maintenances", nil, &coming) == nil { // else it is asked again
			for _, m := range coming {
				if m.Operation == operation && !m.AtOnce && m.State != "running" {
					_ = t.api.Call(ctx, http.MethodPost, "/maintenances/"+strconv.FormatInt(m.ID, 10)+"/run", url.Values{}, nil)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// at is the URL of a database with another port.
func at(text string, port int64) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("the URL of the database is none")
	}
	u.Host = fmt.Sprintf("%s:%d", u.Hostname(), port)
	return u.String(), nil
}
