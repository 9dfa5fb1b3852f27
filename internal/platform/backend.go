package platform

import "time"

// Backend is one connection of clients to a database, a row of its activity.
type Backend struct {
	PID   int
	State string // "active", "idle in transaction", in PostgreSQL's words
	// Role, Application and Address say where it comes from; Address is empty
	// for a connection over a socket.
	Role        string
	Application string
	Address     string
	// RunningFor is how long the present query has run, or for an idle
	// connection how long it has been in its state.
	RunningFor time.Duration
	// TransactionStartedAt is the server's clock; nil outside a transaction.
	TransactionStartedAt *time.Time
	TransactionAge       time.Duration // 0 outside a transaction
	WaitEvent            string        // "Lock: transactionid"; empty while it does not wait
	BlockedBy            []int         // process ids that hold what it waits for
	Query                string        // at most 500 characters
	Type                 string        // "client backend"
}

// Source is the connection's origin for people: "sushi-web, 10.0.0.7, role u1".
func (b Backend) Source() string {
	s := b.Application
	for _, part := range []string{b.Address, b.Role} {
		switch {
		case part == "":
		case s == "":
			s = part
		default:
			s += ", " + part
		}
	}
	return s
}
