package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// errReadOnly means that the write was answered by a server in recovery.
var errReadOnly = errors.New("the server is in recovery and takes no write")

// probeWrite is one round trip. The id makes it a transaction that writes: a
// server that only reads refuses it whatever its settings say.
const probeWrite = "begin read write; select pg_current_xact_id(), pg_is_in_recovery(); commit"

type connWriter struct{ conn *pgconn.PgConn }

// dialURL connects as the app does. The errors of a connection may quote the
// URL's parts, so only the server's own words are passed on.
func dialURL(ctx context.Context, raw string) (writer, error) {
	config, err := ParseURL(raw)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = probeApplication
	conn, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err != nil {
		var refused *pgconn.PgError
		if errors.As(err, &refused) {
			return nil, refused
		}
		return nil, errors.New("no connection to the database")
	}
	return &connWriter{conn: conn}, nil
}

// WriteAsApp makes one write as the app would, through its URL.
func WriteAsApp(ctx context.Context, url string) error {
	w, err := dialURL(ctx, url)
	if err != nil {
		return err
	}
	defer w.close()
	return w.write(ctx)
}

func (w *connWriter) write(ctx context.Context) error {
	sql := probeWrite
	if w.conn.TxStatus() != 'I' {
		sql = "rollback; " + sql // what a refused attempt left behind
	}
	results, err := w.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return err
	}
	for _, result := range results {
		if len(result.Rows) == 1 && len(result.Rows[0]) == 2 && string(result.Rows[0][1]) == "t" {
			return errReadOnly
		}
	}
	return nil
}

func (w *connWriter) broken() bool { return w.conn.IsClosed() }

func (w *connWriter) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = w.conn.Close(ctx) // its end is all that is wanted
}
