package main

import (
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
)

// databaseJSON is a database for programs.
type databaseJSON struct {
	Name        string     `json:"name"`
	App         string     `json:"app"`
	Plan        string     `json:"plan"`
	State       string     `json:"state"`
	Major       int        `json:"major"`
	Version     string     `json:"version,omitempty"`
	Zone        string     `json:"zone,omitempty"`
	Role        string     `json:"role"`
	Following   string     `json:"following,omitempty"`
	ForkedFrom  string     `json:"forked_from,omitempty"`
	Followers   int        `json:"followers"`
	Attachments []string   `json:"attachments"`
	Operation   *int64     `json:"operation"`
	Answers     bool       `json:"answers"`
	DataBytes   int64      `json:"data_bytes"`
	Tables      int        `json:"tables"`
	Connections int        `json:"connections"`
	Lag         *lagJSON   `json:"lag"`
	CreatedAt   time.Time  `json:"created_at"`
	FencedAt    *time.Time `json:"fenced_at,omitempty"`
	ReadableAt  *time.Time `json:"readable_at,omitempty"`
	Readable    bool       `json:"readable"`
	ForkReady   bool       `json:"fork_ready"`
}

// lagJSON is a follower's lag; At says how old it is.
type lagJSON struct {
	At      time.Time `json:"at"`
	Known   bool      `json:"known"`
	Commits int64     `json:"commits"`
	Bytes   int64     `json:"bytes"`
	Seconds float64   `json:"seconds"`
}

func toDatabaseJSON(r db.DatabaseListRow) databaseJSON {
	d := r.Database
	j := databaseJSON{
		Name: d.Name, App: d.AppName, Plan: d.Plan, State: string(d.State), Major: d.Major, Version: r.Reading.Version, Zone: r.Zone,
		Role: string(databaseRole(r).Kind), Following: r.LeaderName, ForkedFrom: r.ForkedFrom, Followers: r.FollowerCount,
		Attachments: r.Attachments, Answers: r.Reading.Known && r.Reading.Answers, DataBytes: r.Reading.DataBytes,
		Tables: r.Reading.Tables, Connections: r.Reading.Connections, CreatedAt: d.CreatedAt, FencedAt: d.FencedAt,
		ReadableAt: d.ReadableAt, ForkReady: d.ForkReady,
		Readable: (!d.IsFollower() || d.ReadableAt != nil) && (d.State == platform.DatabaseAvailable || d.State == platform.DatabaseFenced),
	}
	if r.Operation != nil {
		j.Operation = &r.Operation.ID
	}
	if lag := lagOf(d, r.Reading); lag != nil {
		j.Lag = &lagJSON{lag.At, lag.Known, lag.Commits, lag.Bytes, lag.Seconds}
	}
	return j
}

// operationJSON is an operation for programs.
type operationJSON struct {
	ID          int64      `json:"id"`
	Kind        string     `json:"kind"`
	State       string     `json:"state"`
	Reason      string     `json:"reason"`
	NeedsPerson bool       `json:"needs_person"`
	Database    string     `json:"database"`
	Target      string     `json:"target,omitempty"`
	RequestedBy string     `json:"requested_by"`
	RequestedAt time.Time  `json:"requested_at"`
	StartedAt   *time.Time `json:"started_at"`
	EndedAt     *time.Time `json:"ended_at"`
	NoReturnAt  *time.Time `json:"no_return_at"`
	Attempt     int        `json:"attempt"`
	Steps       []stepJSON `json:"steps"`
	OutageMS    *float64   `json:"outage_ms"`
	// Switch is what was measured of a changeover; null for what switches nothing.
	Switch *switchJSON `json:"switch"`
}

type stepJSON struct {
	Name       string     `json:"name"`
	Title      string     `json:"title"`
	State      string     `json:"state"`
	Detail     string     `json:"detail"`
	Downtime   bool       `json:"downtime"`
	StartedAt  *time.Time `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	MS         *float64   `json:"ms"` // nil until it is over
}

// switchJSON is the outage in milliseconds with its proof: the end of the old
// timeline and the fork point, which are equal when nothing is missing.
type switchJSON struct {
	OutageMS          *float64   `json:"outage_ms"`
	HeldMS            *float64   `json:"held_ms"`       // clients of connection pools waited so long; null where none did
	HeldAtLeast       bool       `json:"held_at_least"` // it is not known how much longer
	RefusedAt         *time.Time `json:"refused_at"`
	AcceptedAt        *time.Time `json:"accepted_at"`
	OldEnd            string     `json:"old_end,omitempty"`
	ForkPoint         string     `json:"fork_point,omitempty"`
	OldTimeline       *int       `json:"old_timeline"`
	NewTimeline       *int       `json:"new_timeline"`
	SessionsEnded     *int       `json:"sessions_ended"`
	TransactionsEnded *int       `json:"transactions_ended"`
	Release           *int       `json:"release"`
}

func toSwitchJSON(c db.Changeover) *switchJSON {
	return &switchJSON{
		OutageMS: c.OutageMS, HeldMS: c.HeldMS, HeldAtLeast: c.HeldAtLeast, RefusedAt: c.RefusedAt, AcceptedAt: c.AcceptedAt, OldEnd: lsn(c.OldEndLSN), ForkPoint: lsn(c.ForkLSN),
		OldTimeline: c.OldTimeline, NewTimeline: c.NewTimeline, SessionsEnded: c.SessionsEnded,
		TransactionsEnded: c.TransactionsEnded, Release: c.ReleaseNumber,
	}
}

func lsn(l *platform.LSN) string {
	if l == nil {
		return ""
	}
	return l.String()
}

// milliseconds is how long a step took; nil until it is over.
func milliseconds(s platform.OperationStep) *float64 {
	if s.StartedAt == nil || s.FinishedAt == nil {
		return nil
	}
	ms := float64(s.FinishedAt.Sub(*s.StartedAt).Microseconds()) / 1000
	return &ms
}
