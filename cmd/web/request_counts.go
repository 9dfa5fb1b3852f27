package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// requestCounts is how often each route was asked for since the worker began,
// how long that took, and what it cost the control database.
type requestCounts struct {
	mu     sync.Mutex
	routes map[string]*routeCount // by method and pattern: there are as many as routes
}

type routeCount struct {
	requests, queries int64
	took              time.Duration
}

func (r *requestCounts) add(c echo.Context, took time.Duration, queries int64) {
	method := c.Request().Method
	if c.Path() == "" || c.Path() == "/live" || method != get && method != post {
		return // no route; a socket is open for hours
	}
	route := method + " " + c.Path()
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.routes[route]
	if n == nil {
		n = &routeCount{}
		r.routes[route] = n
	}
	n.requests++
	n.queries += queries
	n.took += took
}

// write adds the counts to the metrics.
func (r *requestCounts) write(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var requests, queries, took []sample
	for _, route := range slices.Sorted(maps.Keys(r.routes)) {
		n, labels := r.routes[route], fmt.Sprintf(`{route="%s"}`, route)
		requests = append(requests, sample{labels, float64(n.requests)})
		queries = append(queries, sample{labels, float64(n.queries)})
		took = append(took, sample{labels, n.took.Seconds()})
	}
	metric(w, "counter", "changeover_requests_total", "Answered requests by route.", requests)
	metric(w, "counter", "changeover_request_queries_total", "Questions to the control database while they were answered.", queries)
	metric(w, "counter", "changeover_request_seconds_total", "Time that they took.", took)
}
