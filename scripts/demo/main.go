// Command demo fills a dashboard with life: two apps, their databases on real
// servers, a writer, a follower that a long query holds up, a changeover that
// went through and one that was put back. It drives the built program from
// outside, as anybody's script would, in a state directory of its own.
//
//	demo -home DIR -addr HOST:PORT -program bin/changeover           make it, or go on with it
//	demo -home DIR -addr HOST:PORT -program bin/changeover -clean    remove all of it
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"changeover/bench/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	home := flags.String("home", "", "the demo's state directory")
	addr := flags.String("addr", "127.0.0.1:8095", "what the demo's dashboard listens on")
	binary := flags.String("program", "bin/changeover", "the built program")
	clean := flags.Bool("clean", false, "remove everything of the demo")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *home == "" {
		return errors.New("say where the demo's state is: -home DIR")
	}
	var paths [2]string
	for i, path := range []string{*home, *binary} {
		var err error
		if paths[i], err = filepath.Abs(path); err != nil {
			return err
		}
	}
	d := &demo{program: &program.Program{Home: paths[0], Binary: paths[1], Addr: *addr}, out: out, began: time.Now()}
	if *clean {
		return d.clean(ctx)
	}
	return d.run(ctx)
}
