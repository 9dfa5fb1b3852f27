package engine

import "context"

// Proof waits for what PostgreSQL's own pg_controldata says of a server that
// was stopped; it is an error where that is not "shut down". It runs beside
// whatever else the caller waits for, and may be called again.
type Proof func(ctx context.Context) (ControlData, error)
