package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"changeover/internal/db"
	"changeover/internal/platform"
	"changeover/internal/platform/engine/local"

	"github.com/jackc/pgx/v5/pgxpool"
)

// openControl connects to the control database of a program that runs, or of
// one that ran here before: the embedded one is started if it is stopped.
func openControl(ctx context.Context, cfg config) (*pgxpool.Pool, error) {
	var engine *local.Engine
	if cfg.DatabaseURL == "" {
		// Whoever names a home may begin with a token in it. But a command that was
		// told none would make a second installation in the default one, with an
		// administrator of its own, and say nothing.
		if _, err := os.Stat(filepath.Join(cfg.Home, "control")); !cfg.HomeNamed && errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no changeover has ever run in %s. Set CHANGEOVER_HOME to the directory that the program names as State when it starts, or to a new one", cfg.Home)
		}
		var err error
		if engine, err = openEngine(cfg, slog.New(slog.DiscardHandler)); err != nil {
			return nil, err
		}
	}
	return openControlPool(ctx, cfg, engine, slog.New(slog.DiscardHandler))
}

// parseFlags reads a subcommand's flags; what is wrong with them is a sentence.
func parseFlags(flags *flag.FlagSet, args []string) error {
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%s: %w. Run changeover help", flags.Name(), err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s: %q is not understood. Run changeover help", flags.Name(), flags.Arg(0))
	}
	return nil
}

// signInLinkCommand prints a fresh one-time link for the first or a named user.
func signInLinkCommand(ctx context.Context, cfg config, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("sign-in-link", flag.ContinueOnError)
	email := flags.String("email", "", "whom the link signs in")
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	pool, err := openControl(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	var user db.User
	if *email == "" {
		user, err = db.FirstUser(ctx, pool)
		if isKind(err, platform.KindNotFound) {
			user, err = db.CreateUser(ctx, pool, firstAdmin, true)
		}
	} else {
		user, err = userNamed(ctx, pool, *email, stderr)
	}
	if err != nil {
		return err
	}
	token, err := db.CreateSignInLink(ctx, pool, user.ID, linkLife)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, signInLink(whereItRuns(cfg), token))
	return err
}

// whereItRuns is cfg with the address of the program that runs on this state
// directory, which may have been given another one than this command.
func whereItRuns(cfg config) config {
	text, err := os.ReadFile(filepath.Join(cfg.Home, "lock"))
	if err != nil {
		return cfg
	}
	pid, address, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	n, err := strconv.Atoi(pid)
	if err != nil || syscall.Kill(n, 0) != nil {
		return cfg
	}
	if u, err := readURL(address, cfg.Addr); err == nil && address != "" {
		cfg.URL = u
	}
	return cfg
}

// userNamed is the user of that address; whoever may run this command may also
// add one. The first real one is an admin: as long as nobody has set a
// password, the installation is whoever's who starts it.
func userNamed(ctx context.Context, pool *pgxpool.Pool, email string, stderr io.Writer) (db.User, error) {
	user, err := db.UserByEmail(ctx, pool, email)
	if !isKind(err, platform.KindNotFound) {
		return user, err
	}
	users, err := db.ListUsers(ctx, pool)
	if err != nil {
		return user, err
	}
	first := true
	for _, u := range users {
		first = first && u.PasswordHash == nil && u.Email == firstAdmin
	}
	user, err = db.CreateUser(ctx, pool, email, first)
	if err == nil {
		kind := "a user"
		if first {
			kind = "an administrator"
		}
		_, _ = fmt.Fprintf(stderr, "changeover: %s is new here and was added as %s.\n", user.Email, kind)
	}
	return user, err
}

// tokenCommand prints an API token.
func tokenCommand(ctx context.Context, cfg config, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("token", flag.ContinueOnError)
	email := flags.String("email", "", "whose rights the token has")
	name := flags.String("name", "made with changeover token", "what the token is for")
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	if strings.TrimSpace(*email) == "" {
		return fmt.Errorf("say whose rights the token has: changeover token -email you@example.com")
	}
	pool, err := openControl(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	user, err := userNamed(ctx, pool, *email, stderr)
	if err != nil {
		return err
	}
	token, _, err := db.CreateAPIToken(ctx, pool, user.ID, *name, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, token)
	return err
}

// stopAllCommand ends the program that runs on this state directory, then every
// server and the control database.
func stopAllCommand(ctx context.Context, cfg config, log *slog.Logger, stdout io.Writer) error {
	if pid := supervisorPID(cfg.Home); pid != 0 {
		_, _ = fmt.Fprintf(stdout, "Stopping the program (process %d).\n", pid)
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			return fmt.Errorf("the program (process %d) could not be stopped: %w", pid, err)
		}
	}
	lock, err := waitForHome(ctx, cfg.Home, 30*time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	engine, err := openEngine(cfg, log)
	if err != nil {
		return err
	}
	if err := engine.StopAll(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, "Every database and the control database are stopped. Their data stays; start changeover again to go on.")
	return err
}

// waitForHome takes the state directory as soon as the program has let it go.
func waitForHome(ctx context.Context, home string, most time.Duration) (*local.HomeLock, error) {
	deadline := time.Now().Add(most)
	for {
		lock, err := local.LockHome(home, "stop-all")
		if err == nil || !isKind(err, platform.KindConflict) || time.Now().After(deadline) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
