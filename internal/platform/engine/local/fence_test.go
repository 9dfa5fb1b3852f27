package local_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"changeover/internal/platform/platformtest"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Everybody who could write to a leader tries to, across the fence (safety 1):
// what the WAL says at the end is that nobody did.
func TestFenceAdversary(t *testing.T) {
	p := platformtest.New(t)
	leader := p.Leader(t, "standard-0")
	publisher := p.Leader(t, "standard-0")
	owner, admin := leader.Connect(t), leader.ConnectAdmin(t)
	exec(t, owner, "create table ledger (id bigint generated always as identity, body text)")
	exec(t, owner, "create table applied (id int primary key)")
	exec(t, owner, "begin; insert into ledger (body) values ('prepared'); prepare transaction 'waiting'")
	fetched := subscribe(t, leader, publisher)
	half := dialHalfOpen(t, leader)
	longCopy := beginLongCopy(t, leader)
	exec(t, admin, "alter role "+pgx.Identifier{leader.RoleName}.Sanitize()+" set default_transaction_read_only = off")
	idle := leader.Connect(t)

	if err := p.Fence(t.Context(), platformtest.Epoch, leader.Server); err != nil {
		t.Fatal(err)
	}
	control, proof, err := p.StopForSwitch(t.Context(), platformtest.Epoch, leader.Server, "nobody")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.EndAll(t.Context(), platformtest.Epoch, leader.Server); err != nil {
		t.Fatal(err)
	}
	if _, err := proof(t.Context()); err != nil {
		t.Fatal(err)
	}
	end, err := p.EndOfWAL(t.Context(), leader.Server, control)
	if err != nil {
		t.Fatal(err)
	}
	leader.Start(t)

	if err := half.finish(); err == nil {
		t.Error("a connection opened before the fence was let in after it")
	}
	if err := longCopy(); err == nil {
		t.Error("a COPY that began before the fence ended well")
	}
	if _, err := idle.Exec(t.Context(), "insert into ledger (body) values ('idle')"); err == nil {
		t.Error("a session of before the fence wrote")
	}
	exec(t, publisher.Connect(t), "insert into applied values (2)")
	owner, admin = leader.Connect(t), leader.ConnectAdmin(t)
	for _, attempt := range []struct {
		conn *pgx.Conn
		sql  string
	}{
		{owner, "begin read write; insert into ledger (body) values ('owner'); commit"},
		{owner, "set default_transaction_read_only = off; insert into ledger (body) values ('setting')"},
		{owner, "set session characteristics as transaction read write; create table more (id int)"},
		{owner, "create temp table more (id int)"},
		{owner, "select nextval('ledger_id_seq')"},
		{admin, "commit prepared 'waiting'"},
		{admin, "rollback prepared 'waiting'"},
		{admin, "alter database " + leader.DatabaseName + " set default_transaction_read_only = off"},
		{admin, "select pg_current_xact_id()"},
		{admin, "select pg_switch_wal()"},
		{admin, "vacuum ledger"},
	} {
		_, err := attempt.conn.Exec(t.Context(), attempt.sql, pgx.QueryExecModeSimpleProtocol)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) {
			t.Errorf("%q: got %v, want PostgreSQL's refusal", attempt.sql, err)
		}
		_, _ = attempt.conn.Exec(t.Context(), "rollback") // outside a transaction it only warns
	}
	// The settings that would make it stream, restore or promote again are ours.
	for _, name := range []string{"primary_conninfo", "restore_command", "primary_slot_name"} {
		exec(t, admin, "alter system set "+name+" = 'stolen'")
	}
	exec(t, admin, "alter system set default_transaction_read_only = off")
	restartWithMarkOnly(t, p, leader)
	leader.Start(t)
	admin = leader.ConnectAdmin(t)
	if got := platformtest.Query(t, admin, "select pg_is_in_recovery()::text || current_setting('primary_conninfo') || current_setting('restore_command') || current_setting('primary_slot_name')"); got != "true" {
		t.Errorf("after ALTER SYSTEM and a crash: %s, want in recovery and nothing to stream from", got)
	}
	if err := p.Stop(t.Context(), platformtest.Epoch, leader.Server); err != nil {
		t.Fatal(err)
	}
	after, err := p.EndOfWAL(t.Context(), leader.Server, control)
	if err != nil {
		t.Fatal(err)
	}
	if after != end {
		t.Errorf("the WAL ended at %s when it was fenced, and at %s after the attempts", end, after)
	}

	// The undo opens it again, and what waited is still there.
	if err := p.Unfence(t.Context(), platformtest.Epoch, leader.Server); err != nil {
		t.Fatal(err)
	}
	leader.Start(t)
	owner = leader.Connect(t)
	exec(t, owner, "commit prepared 'waiting'")
	if got := platformtest.Query(t, owner, "select count(*)::text from ledger"); got != "1" {
		t.Errorf("the ledger has %s rows, want the prepared one only", got)
	}
	platformtest.Await(t, "the subscription", fetched)
}

// restartWithMarkOnly kills the server outright, takes its file away and starts
// it with the mark: either one present means in recovery.
func restartWithMarkOnly(t *testing.T, p *platformtest.Platform, s *platformtest.Server) {
	t.Helper()
	status, err := p.Status(t.Context(), s.Server)
	if err != nil {
		t.Fatal(err)
	}
	signal(t, status.PID, syscall.SIGKILL)
	if err := os.Remove(filepath.Join(s.DataDir(), "standby.signal")); err != nil {
		t.Fatal(err)
	}
	marked := s.Server
	marked.Fenced = true
	if err := p.Start(t.Context(), platformtest.Epoch, marked); err != nil {
		t.Fatal(err)
	}
	if status, err = p.Status(t.Context(), s.Server); err != nil || !status.StandbySignal {
		t.Errorf("started with the mark: %+v, %v, want the file written again", status, err)
	}
}

// subscribe makes an apply worker on s; what it gives tells when row 2 of the
// publisher, inserted after the fence, has come.
func subscribe(t *testing.T, s, publisher *platformtest.Server) (fetched func() (bool, error)) {
	t.Helper()
	exec(t, publisher.Connect(t), "create table applied (id int primary key); insert into applied values (1)")
	source := publisher.ConnectAdmin(t)
	exec(t, source, "create publication everything for table applied")
	exec(t, source, "select pg_create_logical_replication_slot('feed', 'pgoutput')")
	config := source.Config()
	exec(t, s.ConnectAdmin(t), "create subscription feed connection 'host="+config.Host+" port="+portText(config.Port)+" user=changeover_admin dbname="+publisher.DatabaseName+
		"' publication everything with (create_slot = false, slot_name = 'feed')")
	count := func(want string) func() (bool, error) {
		return func() (bool, error) {
			conn, err := pgx.Connect(t.Context(), s.URL)
			if err != nil {
				return false, err
			}
			defer conn.Close(t.Context())
			return platformtest.Query(t, conn, "select count(*)::text from applied") == want, nil
		}
	}
	platformtest.Await(t, "the subscription's first row", count("1"))
	return count("2")
}

// halfOpen is a connection that has not authenticated yet.
type halfOpen struct {
	conn     net.Conn
	frontend *pgproto3.Frontend
}

func dialHalfOpen(t *testing.T, s *platformtest.Server) halfOpen {
	t.Helper()
	config, err := pgx.ParseConfig(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := net.Dial("tcp", net.JoinHostPort(config.Host, portText(config.Port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	request, err := (&pgproto3.SSLRequest{}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Write(request); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(raw, answer); err != nil || answer[0] != 'S' {
		t.Fatalf("TLS was answered with %q, %v", answer, err)
	}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) // the test is not about the certificate
	frontend := pgproto3.NewFrontend(conn, conn)
	frontend.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": s.RoleName, "database": s.DatabaseName}})
	if err := frontend.Flush(); err != nil {
		t.Fatal(err)
	}
	message, err := frontend.Receive()
	if _, ok := message.(*pgproto3.AuthenticationSASL); err != nil || !ok {
		t.Fatalf("the server answered %T, %v, want its SASL offer", message, err)
	}
	return halfOpen{conn: conn, frontend: frontend}
}

// finish goes on with the authentication; nil only if the server takes it.
func (h halfOpen) finish() error {
	if err := h.conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	h.frontend.Send(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("n,,n=,r=abcdefghijklmnop")})
	if err := h.frontend.Flush(); err != nil {
		return err
	}
	message, err := h.frontend.Receive()
	if err != nil {
		return err
	}
	if refused, ok := message.(*pgproto3.ErrorResponse); ok {
		return errors.New(refused.Message)
	}
	return nil
}

// beginLongCopy has a COPY under way, with rows already taken by the server;
// what it gives sends more, ends it and says how that went.
func beginLongCopy(t *testing.T, s *platformtest.Server) (finish func() error) {
	t.Helper()
	conn := s.Connect(t)
	reader, writer := io.Pipe()
	result := make(chan error, 1)
	go func() {
		_, err := conn.PgConn().CopyFrom(context.WithoutCancel(t.Context()), reader, "copy ledger (body) from stdin")
		_ = reader.CloseWithError(errors.New("the copy ended"))
		result <- err
	}()
	if _, err := writer.Write([]byte(strings.Repeat("copied\n", 20000))); err != nil {
		t.Fatal(err)
	}
	return func() error {
		_, _ = writer.Write([]byte(strings.Repeat("copied after the fence\n", 20000))) // its failure shows in the result
		_ = writer.Close()
		return <-result
	}
}
