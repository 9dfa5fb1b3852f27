package main

import (
	"changeover/internal/db"
	"changeover/internal/platform"

	"github.com/jackc/pgx/v5"
)

// begin starts an operation whose first steps are done; the one after them runs.
func (d *seeded) begin(kind platform.OperationKind, about platform.Database, target *platform.Database, done int, running string) platform.Operation {
	d.t.Helper()
	ctx := d.t.Context()
	n := db.NewOperation{Kind: kind, DatabaseID: about.ID, AppID: &about.AppID, RequestedBy: pagesUser}
	if target != nil {
		n.TargetID = &target.ID
	}
	for _, step := range d.jobs.Steps(kind) {
		n.StepNames = append(n.StepNames, step.Name)
	}
	var op platform.Operation
	d.must(db.InTx(ctx, d.pool, func(tx pgx.Tx) (err error) {
		if op, err = db.InsertOperation(ctx, tx, n); err != nil || kind != platform.FollowerChangeover {
			return err
		}
		return db.InsertChangeover(ctx, tx, op.ID, false, true)
	}))
	d.exec(`update operations set started_at = now() - interval '4 minutes', requested_at = now() - interval '4 minutes', reason = $2 where id = $1`, op.ID, running)
	// What is done ended one after the other, the last of it 2.3 s ago.
	for i, ago := done-1, 2_318.0; i >= 0; i-- {
		s := tookAndFound(n.StepNames[i])
		d.exec(`update operation_steps set state = 'done', finished_at = now() - $3 * interval '1 ms', started_at = now() - ($3 + $4) * interval '1 ms', detail = $5
			where operation_id = $1 and position = $2`, op.ID, i, ago, s.ms, s.detail)
		ago += s.ms
	}
	d.exec(`update operation_steps set state = 'running', started_at = now() - interval '2.318 s', detail = $3 where operation_id = $1 and position = $2`, op.ID, done, running)
	return op
}

// doneStep is how long a step took, and what it found.
type doneStep struct {
	ms     float64
	detail string
}

// tookAndFound is a step of the operations that the pages show.
func tookAndFound(step string) doneStep {
	if s, ok := map[string]doneStep{
		"check": {212, "9 fine, 1 to know: 1 unlogged table arrives empty"}, "reserve_server": {31, ""},
		"copy_leader": {232_418, "38.4 GB at 165 MB/s"}, "start_follower": {1_104, ""}, "attach": {9, "HEROKU_POSTGRESQL_WHITE_URL"},
		"wait_until_caught_up": {41_210, "From 3,904 to 125 commits behind"}, "warm_candidate": {2_104, "1.2 GB of 3.4 GB of what is used most read in 2.1 s"}, "write_out": {640, "Done in 0.6 s"}, "turn_on_maintenance": {88, ""}, "scale_down": {3_120, "web=2 worker=1 to 0"},
		"prepare_switch": {64, "14 connections; the target takes 400"}, "fence_writes": {31, ""}, "wait_until_zero_behind": {24, ""}, "unfollow": {67, ""},
		"check_writable": {3, ""}, "promote": {17, ""}, "scale_up": {2_904, ""}, "turn_off_maintenance": {71, ""}, "prove": {118, ""},
		"start_old_leader": {412, ""}, "refresh_statistics": {1_930, ""},
	}[step]; ok {
		return s
	}
	return doneStep{40, ""}
}

// refuseNow makes the running changeover look as if writes were refused just
// now, whenever its page is opened.
func (d *seeded) refuseNow() {
	d.exec(`update changeovers set refused_at = now() - interval '2.318 s' where operation_id = $1`, d.running.ID)
	d.exec(`update operation_steps set started_at = now() - interval '2.287 s' where operation_id = $1 and state = 'running'`, d.running.ID)
}

// end closes an operation and gives its claims back.
func (d *seeded) end(op *platform.Operation, state platform.OperationState, reason string) {
	d.t.Helper()
	d.exec(`update operations set state = $2, reason = $3, ended_at = now() - interval '30 s' where id = $1`, op.ID, state, reason)
	d.exec(`delete from operation_claims where operation_id = $1`, op.ID)
	var err error
	*op, err = db.OperationByID(d.t.Context(), d.pool, op.ID)
	d.must(err)
}

// position is where a step of a changeover stands.
func (d *seeded) position(name string) int {
	d.t.Helper()
	for i, step := range d.jobs.Steps(platform.FollowerChangeover) {
		if step.Name == name {
			return i
		}
	}
	d.t.Fatalf("a changeover has no step %s", name)
	return 0
}

// operations leaves one changeover in each state, and the makers that still work.
func (d *seeded) operations() {
	d.t.Helper()
	steps := len(d.jobs.Steps(platform.FollowerChangeover))

	// Completed, with everything that was measured.
	for range 3 {
		before := d.begin(platform.FollowerChangeover, d.switching, nil, steps, "")
		d.exec(`update changeovers set refused_at = now() - interval '9 days', accepted_at = now() - interval '9 days', outage_ms = 138 where operation_id = $1`, before.ID)
		d.end(&before, platform.OperationCompleted, "")
	}
	d.completed = d.begin(platform.FollowerChangeover, d.fenced, &d.replacement, steps, "")
	d.exec(`update changeovers set shutdown_lsn = '3A/F2006C28', old_timeline = 3, new_timeline = 4, old_end_lsn = '3A/F2006CA0', fork_lsn = '3A/F2006CA0',
		refused_at = now() - interval '100 s', accepted_at = now() - interval '99.858 s', outage_ms = 142.31, sessions_ended = 27, transactions_ended = 3,
		unlogged_tables = 1, release_number = 2, saved_formation = '[]', maintenance_was_on = false where operation_id = $1`, d.completed.ID)
	d.exec(`update operations set no_return_at = now() - interval '99.9 s' where id = $1`, d.completed.ID)
	d.end(&d.completed, platform.OperationCompleted, "")

	// Put back after its deadline, and put back by a person before the switch.
	waiting := d.position("wait_until_zero_behind")
	d.undone = d.begin(platform.FollowerChangeover, d.leader, &d.heldUp, waiting, "41 commits, 0.6 MB behind; nothing was replayed for 29.8 s")
	d.exec(`update operation_steps set state = 'undone' where operation_id = $1 and position between 6 and $2`, d.undone.ID, waiting-1)
	d.exec(`update operation_steps set state = 'failed', finished_at = now() where operation_id = $1 and position = $2`, d.undone.ID, waiting)
	d.exec(`update changeovers set refused_at = now() - interval '60 s', accepted_at = now() - interval '29.929 s', outage_ms = 30071, sessions_ended = 14,
		transactions_ended = 0 where operation_id = $1`, d.undone.ID)
	d.end(&d.undone, platform.OperationUndone, "The deadline of 30s passed: 41 commits, 0.6 MB behind; nothing was replayed for 29.8 s.")
	d.exec(`update operations set attempt = 2 where id = $1`, d.undone.ID)
	d.putBack = d.begin(platform.FollowerChangeover, d.leader, &d.follower, d.position("wait_until_caught_up"), "212 commits behind")
	d.exec(`update operations set cancel_requested_by = $2 where id = $1`, d.putBack.ID, pagesUser)
	d.end(&d.putBack, platform.OperationUndone, "Cancelled by "+pagesUser+".")

	// Cannot go on by itself, past the point of no return.
	d.stuck = d.begin(platform.FollowerChangeover, d.separated, &d.silent, d.position("check_writable"), "The server does not answer.")
	d.exec(`update operations set needs_person = true, no_return_at = now() - interval '40 s', reason = 'Port 20009 is taken by another program.' where id = $1`, d.stuck.ID)
	d.exec(`update changeovers set refused_at = now() - interval '41 s' where operation_id = $1`, d.stuck.ID)

	// Running, while writes are refused.
	d.running = d.begin(platform.FollowerChangeover, d.switching, &d.candidate, waiting, "41 commits, 3.2 MB behind")
	d.refuseNow()

	// Running, before anything is refused: who is connected is shown.
	d.waiting = d.begin(platform.FollowerChangeover, d.busy, &d.busyCandidate, d.position("wait_until_caught_up"), "1,288 commits, 14 MB behind; about 40 s more")

	d.begin(platform.CreateDatabase, d.creating, nil, 1, "initdb runs")
	d.begin(platform.CreateFollower, d.copying, nil, 2, "12.6 GB of 38.4 GB")
}
