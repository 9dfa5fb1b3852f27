package local

import (
	"context"
	"fmt"
	"time"

	"changeover/internal/platform/engine"

	"github.com/jackc/pgx/v5"
)

// closedWithin is how long the last sessions of a database may take to end.
const closedWithin = 10 * time.Second

// CloseDatabase lets nobody but the administrator into a database of the shared
// cluster s any more, ends who is in it, and returns when none is left and none
// can come. ended is how many sessions there were.
func (e *Engine) CloseDatabase(ctx context.Context, epoch int64, s engine.Server, databaseName, roleName string) (ended int, err error) {
	c, err := e.cluster(s)
	if err != nil {
		return 0, err
	}
	err = e.ActOnDatabase(ctx, epoch, s, databaseName, func() error {
		if err := e.keepOut(ctx, c, databaseName); err != nil {
			return err
		}
		conn, err := pgx.ConnectConfig(ctx, e.adminConfig(c.port, "postgres"))
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		// A connection that was let in by the file as it was may finish signing in
		// later. It still needs CONNECT, which only the administrator can give.
		if _, err := conn.Exec(ctx, "revoke connect on database "+pgx.Identifier{databaseName}.Sanitize()+" from "+pgx.Identifier{roleName}.Sanitize()); err != nil {
			return err
		}
		ended, err = endSessions(ctx, conn, databaseName)
		return err
	})
	return ended, err
}

// endSessions ends the sessions in a database that are not the administrator's.
// One that is just beginning is in no list of sessions yet, but holds a lock on
// the database until it is; whoever gets that lock later sees that CONNECT is gone.
func endSessions(ctx context.Context, conn *pgx.Conn, databaseName string) (ended int, err error) {
	seen := map[int32]bool{}
	for deadline := time.Now().Add(closedWithin); ; {
		// In the list of columns, since conditions are tried in any order.
		rows, err := conn.Query(ctx, `select a.pid, pg_terminate_backend(a.pid) from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
			where a.datname = $1 and a.backend_type = 'client backend' and not r.rolsuper`, databaseName)
		if err != nil {
			return len(seen), err
		}
		type session struct {
			PID  int32
			Told bool
		}
		pids, err := pgx.CollectRows(rows, pgx.RowToStructByPos[session])
		if err != nil {
			return len(seen), err
		}
		for _, s := range pids {
			seen[s.PID] = true
		}
		var beginning int
		err = conn.QueryRow(ctx, `select count(*) from pg_locks l join pg_database d on d.oid = l.objid
			where l.locktype = 'object' and l.classid = 'pg_database'::regclass and d.datname = $1
			  and not exists (select from pg_stat_activity a join pg_roles r on r.oid = a.usesysid where a.pid = l.pid and r.rolsuper)`, databaseName).Scan(&beginning)
		if err != nil || len(pids) == 0 && beginning == 0 {
			return len(seen), err
		}
		if time.Now().After(deadline) {
			return len(seen), fmt.Errorf("%d sessions of a database did not end within %s", max(len(pids), beginning), closedWithin)
		}
		select {
		case <-ctx.Done():
			return len(seen), ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}
