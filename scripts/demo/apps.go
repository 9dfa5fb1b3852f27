package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"changeover/bench/program"
)

// database is what GET /databases/:database says, as far as it is needed.
type database struct {
	Name       string `json:"name"`
	State      string `json:"state"`
	Following  string `json:"following"`
	Readable   bool   `json:"readable"`
	ForkReady  bool   `json:"fork_ready"`
	DataBytes  int64  `json:"data_bytes"`
	ForkedFrom string `json:"forked_from"`
	Lag        *struct {
		Known   bool  `json:"known"`
		Commits int64 `json:"commits"`
		Bytes   int64 `json:"bytes"`
	} `json:"lag"`
}

// make makes both apps at the same time.
func (d *demo) make(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2)
	for _, part := range []func(context.Context) error{d.makeSushi, d.makeRamen} {
		go func() { failed <- part(ctx) }()
	}
	var err error
	for range 2 {
		if partErr := <-failed; partErr != nil {
			err = errors.Join(err, partErr)
			cancel() // the other part is of no use without this one
		}
	}
	if err != nil {
		return err
	}
	d.state.Complete = true
	return d.state.write(d.program.Home)
}

// makeSushi is the app with everything: a changeover behind it, two followers,
// one of them held up, and a changeover to that one that was put back.
func (d *demo) makeSushi(ctx context.Context) error {
	leader, err := d.createDatabase(ctx, "sushi", "standard-0")
	if err != nil {
		return err
	}
	if err := d.setUp(ctx, "sushi", map[string]string{"web": "2", "worker": "1"}, map[string]string{"LOG_LEVEL": "info", "DELIVERY_KM": "6"}); err != nil {
		return err
	}
	if err := d.fill(ctx, leader, sushiData); err != nil {
		return err
	}
	d.say("sushi: its leader %s is filled; a writer takes orders.", leader)
	d.startWriter("sushi", sushiOrder, 200*time.Millisecond)

	done, err := d.api.Start(ctx, "/databases/"+leader+"/changeover", url.Values{"follower": {"new"}, "plan": {"standard-2"}, "confirm_jobs": {"true"}})
	if err != nil {
		return err
	}
	leader = done.Target
	d.state.Changeover = done.ID
	d.say("sushi: a follower changeover to standard-2; writes were refused for %.0f ms.", outageOf(done))

	// The one that is held up comes first: what it falls behind by is written
	// while the other one is made.
	held, err := d.createFollower(ctx, leader, "sushi", "standard-0")
	if err != nil {
		return err
	}
	d.state.Held = held
	if err := d.holdUp(ctx, leader, held); err != nil {
		return err
	}
	d.say("sushi: follower %s, which a long query holds up.", held)
	if d.state.Undone, err = d.putBack(ctx, leader, held); err != nil {
		return err
	}
	d.say("sushi: a changeover to it that was cancelled and put back.")
	imported := make(chan error, 1)
	go func() { imported <- d.importAtNight(ctx, leader) }()
	other, err := d.createFollower(ctx, leader, "sushi", "standard-2")
	if err = errors.Join(err, <-imported); err != nil {
		return err
	}
	d.say("sushi: follower %s.", other)
	if err := d.awaitWatch(ctx, held); err != nil {
		return err
	}
	d.say("sushi: the watch has noticed that %s is more than 1 GB behind.", held)
	return nil
}

// makeRamen is an app with a leader and a fork of it: a follower that was
// unfollowed.
func (d *demo) makeRamen(ctx context.Context) error {
	leader, err := d.createDatabase(ctx, "ramen", "premium-0")
	if err != nil {
		return err
	}
	if err := d.setUp(ctx, "ramen", map[string]string{"web": "1"}, map[string]string{"BROTH": "shoyu"}); err != nil {
		return err
	}
	if err := d.fill(ctx, leader, ramenData); err != nil {
		return err
	}
	d.startWriter("ramen", ramenOrder, time.Second)
	d.say("ramen: its leader %s is filled.", leader)
	fork, err := d.createFollower(ctx, leader, "ramen", "standard-0")
	if err != nil {
		return err
	}
	if _, err := d.api.Start(ctx, "/databases/"+fork+"/unfollow", url.Values{"confirm": {"ramen"}}); err != nil {
		return err
	}
	d.state.Fork = fork
	d.say("ramen: fork %s, a follower that was unfollowed.", fork)
	return nil
}

func outageOf(o program.Operation) float64 {
	if o.Switch == nil || o.Switch.OutageMS == nil {
		return 0
	}
	return *o.Switch.OutageMS
}

func (d *demo) createDatabase(ctx context.Context, app, plan string) (string, error) {
	made, err := d.api.Start(ctx, "/databases", url.Values{"app": {app}, "plan": {plan}})
	return made.Database, err
}

// setUp gives the app its processes and config vars.
func (d *demo) setUp(ctx context.Context, app string, formation, vars map[string]string) error {
	for process, quantity := range formation {
		if err := d.api.Call(ctx, http.MethodPost, "/apps/"+app+"/formation", url.Values{"process": {process}, "quantity": {quantity}}, nil); err != nil {
			return err
		}
	}
	for name, value := range vars {
		if err := d.api.Call(ctx, http.MethodPost, "/apps/"+app+"/config-vars", url.Values{"name": {name}, "value": {value}}, nil); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) fill(ctx context.Context, name string, statements ...string) error {
	url, err := d.api.Reveal(ctx, name)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// createFollower makes a follower, as soon as the leader can be followed.
func (d *demo) createFollower(ctx context.Context, leader, app, plan string) (string, error) {
	if _, err := d.await(ctx, leader, "can be followed", func(db database) bool { return db.ForkReady }); err != nil {
		return "", err
	}
	made, err := d.api.Start(ctx, "/databases/"+leader+"/followers", url.Values{"app": {app}, "plan": {plan}})
	return made.Database, err
}

// await looks at a database until it is as wanted.
func (d *demo) await(ctx context.Context, name, what string, wanted func(database) bool) (database, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		var db database
		err := d.api.Call(ctx, http.MethodGet, "/databases/"+name, nil, &db)
		if err != nil || wanted(db) {
			return db, err
		}
		select {
		case <-ctx.Done():
			return db, fmt.Errorf("%s: it is not seen that it %s: %w", name, what, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
