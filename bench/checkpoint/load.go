package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"changeover/bench/managed"
	"changeover/internal/platform/postgres"

	"github.com/jackc/pgx/v5"
)

// loaded is a leader with its follower, and the table that is updated.
type loaded struct {
	house            *managed.House
	leader, follower *managed.Server
	rows             int
	settings
}

const rowsPerMiB = 1024 * 1024 / 1170 // seven rows fill a page of 8 kB

// afterwards is what lies between the last checkpoint and the stop in a switch.
const afterwards = 100 * time.Millisecond

var body = strings.Repeat("0123456789abcdef", 62) // about one kB, too short to be compressed

func begin(ctx context.Context, house *managed.House, s settings) (*loaded, error) {
	leader, err := house.Leader(ctx, "standard-2")
	if err != nil {
		return nil, err
	}
	l := &loaded{house: house, leader: leader, rows: s.mib * rowsPerMiB, settings: s}
	fmt.Fprintf(s.logger, "filling the leader with %d MiB\n", s.mib)
	if err := leader.Exec(ctx, "create table updated (id int primary key, n bigint not null, body text not null) with (fillfactor = 85)",
		fmt.Sprintf("insert into updated select i, 0, repeat(md5(i::text), 29) from generate_series(1, %d) i", l.rows),
		"grant all on updated to app", "vacuum analyze", "checkpoint"); err != nil {
		return nil, err
	}
	l.follower, err = house.Follower(ctx, leader) // it replays all of it, as a candidate does
	return l, err
}

// measure loads the leader, makes so many checkpoints, stops it under the load,
// and starts it again.
func (l *loaded) measure(ctx context.Context, checkpoints int) (stop, pages float64, before []float64, err error) {
	conns := make([]*pgx.Conn, l.clients)
	for i := range conns {
		if conns[i], err = pgx.Connect(ctx, l.leader.URL); err != nil {
			return 0, 0, nil, err
		}
		defer conns[i].Close(context.WithoutCancel(ctx))
	}
	admin, err := l.leader.Admin(ctx)
	if err != nil {
		return 0, 0, nil, err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	for _, conn := range conns {
		all.Go(func() { // until the stop ends its session
			for {
				if _, err := conn.Exec(ctx, "update updated set n = n + 1, body = $2 where id = $1", rand.IntN(l.rows)+1, body); err != nil {
					return
				}
			}
		})
	}
	time.Sleep(l.load)
	for range checkpoints {
		began := time.Now()
		if err := postgres.Checkpoint(ctx, admin); err != nil {
			return 0, 0, nil, err
		}
		before = append(before, float64(time.Since(began).Microseconds())/1000)
	}
	time.Sleep(afterwards)
	began := time.Now()
	_, proof, err := l.house.StopForSwitch(ctx, managed.Epoch, l.leader.Server, l.follower.Slot())
	stop = float64(time.Since(began).Microseconds()) / 1000
	if err != nil {
		return 0, 0, nil, err
	}
	if _, err := proof(ctx); err != nil {
		return 0, 0, nil, err
	}
	all.Wait()
	if pages, err = l.written(); err != nil {
		return 0, 0, nil, err
	}
	return stop, pages, before, errors.Join(l.house.EndAll(ctx, managed.Epoch, l.leader.Server), l.house.Start(ctx, managed.Epoch, l.leader.Server))
}

var wrote = regexp.MustCompile(`checkpoint complete: wrote (\d+) buffers`)

// written is how many pages the last checkpoint wrote, by the server's own word.
func (l *loaded) written() (float64, error) {
	all := wrote.FindAllStringSubmatch(l.house.Log(l.leader.Server, 200), -1)
	if len(all) == 0 {
		return 0, errors.New("the server's log tells of no checkpoint")
	}
	return strconv.ParseFloat(all[len(all)-1][1], 64)
}
