// Command testreport turns "go test -json" on its standard input into a page
// for people: a line a package, the output of what failed, every skipped test
// with its reason, the slowest tests. It exits 1 when something failed, and
// with CHANGEOVER_NO_SKIP=1 also when something was skipped: a test that did
// not run has not passed. It imports nothing of ours.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of "go test -json" (see "go doc test2json"). A failed
// build has ImportPath instead of Package.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
}

// test names one test; a package's own output has an empty name.
type test struct{ pkg, name string }

type skip struct {
	test
	reason string
}

type timing struct {
	test
	seconds float64
}

// report collects what the stream says.
type report struct {
	out     io.Writer
	output  map[test][]string
	failed  []string
	skipped []skip
	timings []timing
	passed  int
}

func main() {
	r := &report{out: os.Stdout, output: map[test][]string{}}
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport: the stream could not be read:", err)
		os.Exit(1)
	}
	if !r.finish(os.Getenv("CHANGEOVER_NO_SKIP") == "1") {
		os.Exit(1)
	}
}

// read prints packages as they end and remembers the rest for finish.
func (r *report) read(stream io.Reader) error {
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(r.out, "%s", line) // go itself, in plain words
			} else {
				r.take(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(e event) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.output[t] = append(r.output[t], e.Output)
	case "pass":
		if e.Test == "" {
			fmt.Fprintf(r.out, "ok    %6.1f s  %s\n", e.Elapsed, e.Package)
			break
		}
		r.passed++
		r.timings = append(r.timings, timing{t, e.Elapsed})
		delete(r.output, t)
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, skip{t, reason(r.output[t])})
			delete(r.output, t)
		}
	case "fail":
		r.fail(t, e)
	}
}

func (r *report) fail(t test, e event) {
	if e.Test != "" {
		r.failed = append(r.failed, t.pkg+" "+t.name)
		r.timings = append(r.timings, timing{t, e.Elapsed})
		fmt.Fprintf(r.out, "\n--- failed: %s %s\n%s", t.pkg, t.name, strings.Join(r.output[t], ""))
		return
	}
	if !slices.ContainsFunc(r.failed, func(name string) bool { return strings.HasPrefix(name, t.pkg+" ") }) {
		r.failed = append(r.failed, t.pkg+" (the package as a whole)")
	}
	// The package's own output holds what belongs to no test: a panic, a data
	// race between tests, a timeout with every goroutine, the shuffle's seed. A
	// test that was running then has no end of its own, only output.
	fmt.Fprintf(r.out, "%s", strings.Join(r.output[t], ""))
	for running, lines := range r.output {
		if running.pkg == t.pkg && running.name != "" && !slices.Contains(r.failed, running.pkg+" "+running.name) {
			fmt.Fprintf(r.out, "\n--- did not end: %s %s\n%s", running.pkg, running.name, strings.Join(lines, ""))
		}
	}
	fmt.Fprintf(r.out, "FAIL  %6.1f s  %s\n", e.Elapsed, t.pkg)
}

// reason is a skipped test's own sentence, without the frame that testing puts
// around it.
func reason(lines []string) string {
	var words []string
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if _, after, ok := strings.Cut(line, ".go:"); ok {
			_, line, _ = strings.Cut(after, ": ")
		}
		words = append(words, line)
	}
	return strings.Join(words, " ")
}

// finish prints the end of the page and says whether all is well.
func (r *report) finish(noSkip bool) bool {
	slices.SortFunc(r.timings, func(a, b timing) int { return int(1000 * (b.seconds - a.seconds)) })
	if n := min(10, len(r.timings)); n > 0 && r.timings[0].seconds >= 5 {
		fmt.Fprintf(r.out, "\nslowest:\n")
		for _, t := range r.timings[:n] {
			fmt.Fprintf(r.out, "  %6.1f s  %s %s\n", t.seconds, t.pkg, t.name)
		}
	}
	if len(r.skipped) > 0 {
		fmt.Fprintf(r.out, "\nskipped:\n")
		for _, s := range r.skipped {
			fmt.Fprintf(r.out, "  %s %s: %s\n", s.pkg, s.name, s.reason)
		}
	}
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped.\n", r.passed, len(r.failed), len(r.skipped))
	for _, name := range r.failed {
		fmt.Fprintf(r.out, "  failed: %s\n", name)
	}
	switch {
	case len(r.failed) > 0:
		return false
	case r.passed == 0:
		fmt.Fprintln(r.out, "No test ran, so nothing is proven.")
		return false
	case noSkip && len(r.skipped) > 0:
		fmt.Fprintln(r.out, "CHANGEOVER_NO_SKIP=1: a skipped test counts as a failed one.")
		return false
	}
	return true
}
