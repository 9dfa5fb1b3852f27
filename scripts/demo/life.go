package main

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
)

// startWriter writes to the app's database as the app would, until the demo
// ends: to whatever DATABASE_URL says, asked again after every error.
func (d *demo) startWriter(app, sql string, every time.Duration) {
	d.life.Go(func() {
		for d.living.Err() == nil {
			_ = d.write(d.living, app, sql, every) // told by the next try
			select {
			case <-d.living.Done():
			case <-time.After(250 * time.Millisecond):
			}
		}
	})
}

func (d *demo) write(ctx context.Context, app, sql string, every time.Duration) error {
	var vars map[string]any
	if err := d.api.Call(ctx, http.MethodGet, "/apps/"+app+"/config-vars", nil, &vars); err != nil {
		return err
	}
	url, _ := vars["DATABASE_URL"].(string)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	config.RuntimeParams["application_name"] = app + " web.1"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// resume lets the writers write and holds the follower up again, if the two are
// still what they were: whoever tried things out may have changed them.
func (d *demo) resume(ctx context.Context) error {
	d.startWriter("sushi", sushiOrder, 200*time.Millisecond)
	d.startWriter("ramen", ramenOrder, time.Second)
	var held database
	if err := d.api.Call(ctx, http.MethodGet, "/databases/"+d.state.Held, nil, &held); err != nil || held.Following == "" {
		d.say("%s follows nothing any more, so no query holds it up.", d.state.Held)
		return nil
	}
	err := d.holdUp(ctx, held.Following, held.Name)
	if err == nil {
		err = d.importAtNight(ctx, held.Following)
	}
	if err != nil {
		d.say("No query holds %s up this time: %v", held.Name, err)
	}
	return nil
}
