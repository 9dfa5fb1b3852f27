package ledger_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"changeover/bench/cluster"
	"changeover/bench/ledger"

	"github.com/jackc/pgx/v5"
)

// home is a directory with a short path that the unprivileged user can enter.
func home(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// server is a running cluster with a role app, and that role's URL.
func server(t *testing.T, dir string) (*cluster.Cluster, string) {
	t.Helper()
	programs, err := cluster.Find(0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := programs.Init(t.Context(), filepath.Join(dir, "a"), nil)
	if err != nil {
		t.Fatal(err)
	}
	start(t, c)
	sql(t, c, "create role app login password 'secret'")
	sql(t, c, "create database app owner app")
	return c, c.URL("app", "secret", "app")
}

func start(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func sql(t *testing.T, c *cluster.Cluster, statement string) {
	t.Helper()
	execute(t, c.Conninfo()+" dbname=postgres", statement)
}

func execute(t *testing.T, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// within bounds a wait for something that has to happen.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestWritersSurviveRestarts(t *testing.T) {
	c, url := server(t, home(t))
	if err := ledger.Setup(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	w := ledger.Start(t.Context(), ledger.Fixed(url), 4, ledger.Options{})
	defer w.Stop()
	if err := w.WaitForCommits(within(t, 30*time.Second), 20); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, c)
	if err := w.WaitForCommits(within(t, 30*time.Second), 20); err != nil {
		t.Fatal(err)
	}
	// Verified while the writers go on, then after they stopped.
	if audit, err := w.Verify(t.Context(), url); err != nil || !audit.Sound() {
		t.Fatalf("while writing: %+v, %v", audit, err)
	}
	report := w.Stop()
	audit, err := w.Verify(t.Context(), url)
	if err != nil || !audit.Sound() {
		t.Fatalf("a fast stop keeps every commit, synchronous or not: %+v, %v", audit, err)
	}
	if report.Acked != audit.Acked || report.Acked < 4*40 {
		t.Errorf("acknowledged %d, looked for %d", report.Acked, audit.Acked)
	}
	if audit.UnknownCommitted+audit.UnknownGone != report.Unknown {
		t.Errorf("%d unknown in the report, %+v", report.Unknown, audit)
	}
	if report.Refused == 0 || report.Failed != 0 {
		t.Errorf("refused %d, failed %d %v", report.Refused, report.Failed, report.Errors)
	}
	if report.AcceptedAgainAt.Before(before) || report.FirstRefusedAt.IsZero() || report.LongestSilence <= 0 ||
		report.LongestGap < report.LongestSilence || report.LongestGapAt.Add(report.LongestGap).Before(before) {
		t.Errorf("the gap is not where the restart was: %+v", report)
	}

	// A second run on the same tables goes on with the numbers, and a pause is quiet.
	again := ledger.Start(t.Context(), ledger.Fixed(url), 4, ledger.Options{})
	if err := again.WaitForCommits(within(t, 30*time.Second), 5); err != nil {
		t.Fatal(err)
	}
	again.Pause()
	paused, _ := again.Verify(t.Context(), url)
	if later, err := again.Verify(t.Context(), url); err != nil || later.Acked != paused.Acked {
		t.Errorf("%d commits at the beginning of a pause and %d later, %v", paused.Acked, later.Acked, err)
	}
	again.Resume()
	if err := again.WaitForCommits(within(t, 30*time.Second), 5); err != nil {
		t.Fatal(err)
	}
	again.Stop()
	if audit, err := again.Verify(t.Context(), url); err != nil || !audit.Sound() {
		t.Errorf("second run: %+v, %v", audit, err)
	}
}

func TestSynchronousCommitsSurviveKill(t *testing.T) {
	c, url := server(t, home(t))
	if err := ledger.Setup(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	w := ledger.Start(t.Context(), ledger.Fixed(url), 4, ledger.Options{AllSynchronous: true})
	defer w.Stop()
	if err := w.WaitForCommits(within(t, 30*time.Second), 20); err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, c)
	if err := w.WaitForCommits(within(t, 30*time.Second), 5); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	if audit, err := w.Verify(t.Context(), url); err != nil || !audit.Sound() {
		t.Errorf("%+v, %v", audit, err)
	}
}

func TestVerifyFindsWhatIsMissing(t *testing.T) {
	_, url := server(t, home(t))
	if err := ledger.Setup(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	w := ledger.Start(t.Context(), ledger.Fixed(url), 2, ledger.Options{})
	if err := w.WaitForCommits(within(t, 30*time.Second), 10); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	execute(t, url, "delete from ledger where writer = 1 and n = 7")
	execute(t, url, "insert into ledger values (0, 1000000)")
	audit, err := w.Verify(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if len(audit.Lost) != 1 || audit.Lost[0] != (ledger.Entry{Writer: 1, N: 7}) {
		t.Errorf("lost: %v", audit.Lost)
	}
	if len(audit.Unexpected) != 1 || audit.Unexpected[0] != (ledger.Entry{Writer: 0, N: 1000000}) {
		t.Errorf("unexpected: %v", audit.Unexpected)
	}
	if len(audit.Unbalanced) != 2 {
		t.Errorf("unbalanced: %v", audit.Unbalanced)
	}
}

func TestWatchBothSeesAnUnfencedLeader(t *testing.T) {
	dir := home(t)
	leader, url := server(t, dir)
	follower, err := leader.BaseBackup(t.Context(), filepath.Join(dir, "b"), "follower_b", nil)
	if err != nil {
		t.Fatal(err)
	}
	start(t, follower)
	promotedURL := follower.URL("app", "secret", "app")

	watch := ledger.WatchBoth(t.Context(), url, promotedURL, 0)
	sql(t, follower, "select pg_promote()")
	// Each of these sees the watch's own writes on that server.
	waitForIDs(t, promotedURL)
	waitForIDs(t, url)
	m := watch.Stop()
	if m.TwoWritable == 0 || m.OldAccepted == 0 || m.NewAccepted == 0 {
		t.Errorf("both take writes, and the watch saw %+v", m)
	}

	// Fenced, the old one refuses what the new one takes.
	if err := leader.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	watch = ledger.WatchBoth(t.Context(), url, promotedURL, 0)
	waitForIDs(t, promotedURL)
	if m := watch.Stop(); m.TwoWritable != 0 || m.OldAccepted != 0 || m.NewAccepted == 0 {
		t.Errorf("the old one is down, and the watch saw %+v", m)
	}
}

// waitForIDs returns when somebody has used up twenty transaction ids.
func waitForIDs(t *testing.T, url string) {
	t.Helper()
	ctx := within(t, 10*time.Second)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var first, now int64
	for now < first+20 || first == 0 {
		err := conn.QueryRow(ctx, "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint").Scan(&now)
		if err != nil {
			t.Fatal(err)
		}
		if first == 0 {
			first = now
		}
	}
}
