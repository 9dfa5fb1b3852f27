package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// liveFigures is what the browsers saw, and what they cost. Ages are in
// milliseconds.
type liveFigures struct {
	Browsers        int     `json:"browsers"`
	OpenS           float64 `json:"open_s"` // until all of them had read the page and had a first fragment
	AgeP50          float64 `json:"lag_age_p50_ms"`
	AgeP99          float64 `json:"lag_age_p99_ms"`
	AgeWorst        float64 `json:"lag_age_ms"`
	MessagesPerS    float64 `json:"messages_per_s"` // to all together
	MessageBytes    float64 `json:"message_bytes"`
	CPUPercent      float64 `json:"cpu_percent"` // of one core
	RSSMiB          float64 `json:"rss_mib"`     // at the end of the watch
	PeakMiB         float64 `json:"peak_rss_mib"`
	OpenCPUSeconds  float64 `json:"open_cpu_s"`
	BeforeMiB       float64 `json:"before_rss_mib"` // before the first browser
	Disconnected    int64   `json:"disconnected"`
	measuredSamples int
}

const (
	openAtOnce = 8                      // browsers that open at the same time
	lookEvery  = 100 * time.Millisecond // at what each browser shows
)

// measureLive opens all browsers on the page and watches what they show.
func measureLive(ctx context.Context, base string, sessions []*http.Cookie, path string, worker process, s settings) (f liveFigures, err error) {
	f.Browsers = len(sessions)
	before, err := worker.usage()
	if err != nil {
		return f, err
	}
	start := time.Now()
	all, err := openBrowsers(ctx, base, sessions, path)
	defer all.close()
	if err != nil {
		return f, err
	}
	if err := all.awaitFirst(ctx, time.Minute); err != nil {
		return f, err
	}
	f.OpenS = time.Since(start).Seconds()
	opened, err := worker.usage()
	if err != nil {
		return f, err
	}
	f.BeforeMiB, f.OpenCPUSeconds = before.rssMiB, (opened.cpu - before.cpu).Seconds()

	fmt.Fprintf(s.logger, "watching them for %s\n", s.watch)
	messages, bytes := all.messages.Load(), all.bytes.Load()
	all.oldest.Store(0)
	start = time.Now()
	ages, err := all.watch(ctx, s.watch)
	if err != nil {
		return f, err
	}
	took := time.Since(start).Seconds()
	after, err := worker.usage()
	if err != nil {
		return f, err
	}
	slices.Sort(ages)
	f.measuredSamples = len(ages)
	f.AgeP50, f.AgeP99 = quantile(ages, 0.5), quantile(ages, 0.99)
	f.AgeWorst = max(ages[len(ages)-1], float64(all.oldest.Load()))
	messages, bytes = all.messages.Load()-messages, all.bytes.Load()-bytes
	f.MessagesPerS, f.MessageBytes = float64(messages)/took, float64(bytes)/float64(max(messages, 1))
	f.CPUPercent = 100 * (after.cpu - opened.cpu).Seconds() / took
	f.RSSMiB, f.PeakMiB, f.Disconnected = after.rssMiB, after.peakMiB, all.gone.Load()
	return f, nil
}

// browsers are all that are open, and what they heard.
type browsers struct {
	list            []*browser
	messages, bytes atomic.Int64
	oldest          atomic.Int64 // ms; what a browser showed just before something newer came
	gone            atomic.Int64 // connections that ended before they were closed
	seed            maphash.Seed
	lags            sync.Map // hash of a message: the time of the lag in it, in Unix ms
	closing         atomic.Bool
}

func openBrowsers(ctx context.Context, base string, sessions []*http.Cookie, path string) (*browsers, error) {
	all := &browsers{list: make([]*browser, len(sessions)), seed: maphash.MakeSeed()}
	errs := make([]error, openAtOnce)
	var group sync.WaitGroup
	for worker := range openAtOnce {
		group.Go(func() {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: 30 * time.Second}
			defer client.CloseIdleConnections()
			for i := worker; i < len(sessions); i += openAtOnce {
				r := &reader{base: base, session: sessions[i], client: client}
				if all.list[i], errs[worker] = openBrowser(ctx, all, r, path); errs[worker] != nil {
					return
				}
			}
		})
	}
	group.Wait()
	return all, errors.Join(errs...)
}

// awaitFirst waits until every browser shows a lag.
func (all *browsers) awaitFirst(ctx context.Context, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		missing := 0
		for _, b := range all.list {
			if b.shown.Load() == 0 {
				missing++
			}
		}
		if missing == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d browsers were never told a lag: %w", missing, len(all.list), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// watch looks at what every browser shows, again and again, and returns how old
// that was each time, in milliseconds.
func (all *browsers) watch(ctx context.Context, long time.Duration) ([]float64, error) {
	ages := make([]float64, 0, int(long/lookEvery+1)*len(all.list))
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for end := time.Now().Add(long); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
		now := time.Now().UnixMilli()
		for _, b := range all.list {
			ages = append(ages, float64(now-b.shown.Load()))
		}
	}
	if len(ages) == 0 {
		return nil, errors.New("the watch was too short to look once")
	}
	return ages, nil
}

func (all *browsers) close() {
	all.closing.Store(true)
	for _, b := range all.list {
		if b != nil {
			_ = b.socket.Close()
		}
	}
}
