package jobs

import "context"

// Reconcile looks once, as a running program does every two seconds.
func (j *Jobs) Reconcile(ctx context.Context) error { return j.reconcile(ctx) }
