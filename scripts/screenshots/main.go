// Command screenshots photographs the pages of a demo that runs, for the
// README: real pages about real servers. It signs in by a link of the program's,
// as a person would, and looks with a Chrome or Chromium of this machine.
//
//	screenshots -home DIR -addr HOST:PORT -program bin/changeover -out docs/screenshots
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"changeover/bench/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("screenshots", flag.ContinueOnError)
	home := flags.String("home", "", "the demo's state directory")
	addr := flags.String("addr", "127.0.0.1:8095", "what the demo's dashboard listens on")
	binary := flags.String("program", "bin/changeover", "the built program")
	out := flags.String("out", "docs/screenshots", "where the pictures go")
	all := flags.Bool("all", false, "more pages, narrow too, in their full height: to look at, not for the README")
	if err := flags.Parse(args); err != nil {
		return err
	}
	path, err := filepath.Abs(*binary)
	if err != nil {
		return err
	}
	p := &program.Program{Home: *home, Binary: path, Addr: *addr}
	shots, err := demoPages(ctx, p, *all)
	if err != nil {
		return fmt.Errorf("%w\nThe pages are those of the demo: start it with make demo, in another terminal", err)
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	b, err := openBrowser(ctx, p.URL())
	if err != nil {
		return err
	}
	defer b.close()
	link, err := p.Run(ctx, "sign-in-link")
	if err != nil {
		return err
	}
	if err := b.signIn(link); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	for _, s := range shots {
		for _, theme := range []string{"light", "dark"} {
			name := s.name
			if theme == "dark" {
				name += "-dark"
			}
			picture, err := b.photograph(s, theme)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if picture, err = packed(picture); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(*out, name+".png"), picture, 0o644); err != nil {
				return err
			}
			fmt.Printf("%-28s %4d kB\n", name+".png", len(picture)/1000)
		}
	}
	return nil
}
